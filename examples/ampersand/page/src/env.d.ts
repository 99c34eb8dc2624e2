interface ImportMetaEnv {
	readonly VITE_AMPERSAND_PROJECT?: string;
	readonly VITE_AMPERSAND_API_KEY?: string;
	readonly VITE_AMPERSAND_TOKEN_URL?: string;
	readonly VITE_AMPERSAND_INTEGRATION?: string;
	readonly VITE_AMPERSAND_GROUP_REF?: string;
	readonly VITE_AMPERSAND_CONSUMER_REF?: string;
}
