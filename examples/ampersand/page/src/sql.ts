// The statements that let a PostgreSQL server use what the customer has just installed.

const literal = (text: string) =>
	(text.includes('\\') ? 'E' : '') + `'${text.replace(/\\/g, '\\\\').replace(/'/g, "''")}'`;

const identifier = (text: string) => `"${text.replace(/"/g, '""')}"`;

export interface Installed {
	project: string;
	integration: string;
	groupRef: string;
}

export function createServer({ project, integration, groupRef }: Installed): string {
	const server = identifier(`sf_${groupRef}`);
	const engagement = integration.startsWith('account-engagement');
	const options = [
		`connection 'ampersand'`,
		`project ${literal(project)}`,
		`integration ${literal(integration)}`,
		`group_ref ${literal(groupRef)}`,
	];

	if (engagement) options.push(`module 'account_engagement'`, `business_unit_id '0Uv...'`);
	return [
		`CREATE SERVER ${server} FOREIGN DATA WRAPPER ampsf_fdw`,
		`	OPTIONS (${options.join(', ')});`,
		`CREATE USER MAPPING FOR CURRENT_USER SERVER ${server} OPTIONS (api_key '...');`,
		`SELECT * FROM ampsf.doctor(${literal(`sf_${groupRef}`)});`,
	].join('\n');
}
