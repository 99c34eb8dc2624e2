// login.js BROWSER URL USER DECISION - opens the address, does on the page what a person would do, and prints the
// address that the browser shows in the end.
'use strict';

const puppeteer = require('puppeteer-core');
const [browserPath, url, user, decision] = process.argv.slice(2);

(async () => {
	const browser = await puppeteer.launch({
		executablePath: browserPath,
		headless: true,
		args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking'],
	});
	try {
		const page = await browser.newPage();

		await page.goto(url, { waitUntil: 'load' });
		if (await page.$('input[name=username]')) {
			await page.$eval('input[name=username]', (e) => { e.value = ''; });
			await page.type('input[name=username]', user);
			await page.type('input[name=password]', 'sandbox');
			await Promise.all([
				page.waitForNavigation({ waitUntil: 'load' }),
				page.click(`button[name=decision][value=${decision}]`),
			]);
		}
		console.log(page.url());
		console.error(await page.$eval('body', (e) => e.innerText));
	} finally {
		await browser.close();
	}
})().catch((e) => {
	console.error(e.message);
	process.exit(1);
});
