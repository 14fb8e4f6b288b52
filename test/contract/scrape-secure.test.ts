// Credentials, TLS and proxies of scrapes, against real servers that check them; whatever is in a file may change while it runs.
import { renameSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { certify, makeAuthority } from '../kit/certificates.ts'
import { metricsPage, type Scraping, serve, serveTls, startScraping } from '../kit/scraping.ts'
import { tempDir } from '../kit/temp-dir.ts'
import { until } from '../kit/until.ts'

const patience = 20_000
const stateOf = ({ scraper }: Scraping, job: string) => scraper.targets().find((t) => t.scrapePool === job)!
const isUp = (s: Scraping, job: string): Promise<unknown> =>
  until(`job ${job} up (${stateOf(s, job)?.lastError})`, () => stateOf(s, job)?.health === 'up', patience)
const isDown = (s: Scraping, job: string, why: RegExp): Promise<unknown> =>
  until(
    `job ${job} down by ${why} (${stateOf(s, job)?.lastError})`,
    () => stateOf(s, job)?.health === 'down' && why.test(stateOf(s, job)!.lastError),
    patience,
  )

test('TLS: an own authority, names, versions, client certificates; certificates and keys rotate', async () => {
  const authority = makeAuthority()
  const server = certify(authority, 'scraped.test')
  const client = certify(authority, 'airboss')
  const dir = tempDir()
  // Put in place as secrets are: whole.
  const file = (name: string, text: string): void => {
    writeFileSync(join(dir, `${name}.new`), text)
    renameSync(join(dir, `${name}.new`), join(dir, name))
  }
  file('ca.pem', makeAuthority('another').cert)
  file('client.pem', client.cert)
  file('client.key', client.key)
  const open = await serveTls(
    { ...server, maxVersion: 'TLSv1.2' },
    metricsPage(() => 'm 1\n'),
  )
  const strict = await serveTls(
    { ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: true },
    metricsPage(() => 'm 2\n'),
  )
  const job = (name: string, address: string, tls: string): string =>
    `- {job_name: ${name}, scheme: https, static_configs: [{targets: ['${address}']}], tls_config: {${tls}}}\n`
  const inline = JSON.stringify(authority.cert)
  const s = await startScraping(
    job('file', open.address, 'ca_file: ca.pem') +
      job('inline', open.address, `ca: ${inline}, server_name: scraped.test`) +
      job('name', open.address, `ca: ${inline}, server_name: other.test`) +
      job('blind', open.address, 'insecure_skip_verify: true') +
      job('new', open.address, `ca: ${inline}, min_version: TLS13`) +
      job('anonymous', strict.address, `ca: ${inline}`) +
      job('known', strict.address, `ca: ${inline}, cert_file: client.pem, key_file: client.key`) +
      job('missing', open.address, 'ca_file: nowhere.pem'),
    { base: dir },
  )
  for (const up of ['inline', 'blind', 'known']) await isUp(s, up)
  await isDown(s, 'name', /altnames|other\.test/i)
  await isDown(s, 'new', /version|protocol|alert/i)
  await isDown(s, 'anonymous', /certificate|alert|closed|reset|socket/i)
  await isDown(s, 'missing', /nowhere\.pem/)
  await isDown(s, 'file', /certificate|signature|issuer/i)
  file('ca.pem', authority.cert)
  await isUp(s, 'file')
  file('client.key', certify(authority, 'airboss').key)
  await isDown(s, 'known', /tls_config|key/i)
  file('client.key', client.key)
  await isUp(s, 'known')
})

test('passwords, tokens and headers come from files and change with them', async () => {
  const seen = new Map<string, IncomingMessage['headers']>()
  const address = await serve((request, response) => {
    seen.set(request.url!, request.headers)
    metricsPage(() => 'm 1\n')(request, response)
  })
  const dir = tempDir()
  writeFileSync(join(dir, 'password'), 'one\n')
  writeFileSync(join(dir, 'token'), 'first\n')
  writeFileSync(join(dir, 'header'), 'from file\n')
  const job = (name: string, more: string): string =>
    `- {job_name: ${name}, metrics_path: /${name}, static_configs: [{targets: ['${address}']}], ${more}}\n`
  const s = await startScraping(
    job('basic', 'basic_auth: {username: u, password_file: password}') +
      job('auth', 'authorization: {type: Custom, credentials_file: token}') +
      job('legacy', 'bearer_token_file: token') +
      job(
        'headers',
        `http_headers: {X-Scope: {values: [a], secrets: [b], files: ['header']}}, enable_compression: false`,
      ),
    { base: dir },
  )
  const header = (name: string, key = 'authorization') => seen.get(`/${name}`)?.[key]
  await until('all four', () => seen.size === 4, patience)
  expect(header('basic')).toBe(`Basic ${Buffer.from('u:one').toString('base64')}`)
  expect(header('auth')).toBe('Custom first')
  expect(header('legacy')).toBe('Bearer first')
  expect(header('headers', 'x-scope')).toBe('a, b, from file')
  expect(header('headers', 'accept-encoding')).toBe('identity')
  writeFileSync(join(dir, 'password'), 'two\n')
  writeFileSync(join(dir, 'token'), 'second\n')
  await until(
    'the new secrets',
    () =>
      header('basic') === `Basic ${Buffer.from('u:two').toString('base64')}` &&
      header('legacy') === 'Bearer second',
    patience,
  )
  expect(JSON.stringify(s.scraper.targets())).not.toContain('second')
})

test('oauth2: client credentials in the header or the body, kept until they expire, renewed with the secret', async () => {
  const asked: { body: URLSearchParams; authorization: string | undefined }[] = []
  let inBody = false
  let life = 3600
  const tokens = await serve((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    request.on('end', () => {
      const body = new URLSearchParams(text)
      asked.push({ body, authorization: request.headers.authorization })
      response.statusCode = inBody && !body.has('client_secret') ? 401 : 200
      response.end(
        JSON.stringify({ access_token: `t${asked.length}`, token_type: 'bearer', expires_in: life }),
      )
    })
  })
  const used: (string | undefined)[] = []
  const address = await serve((request, response) => {
    used.push(request.headers.authorization)
    metricsPage(() => 'm 1\n')(request, response)
  })
  const dir = tempDir()
  writeFileSync(join(dir, 'secret'), 'p&w')
  const yaml = `- job_name: j
  static_configs: [{targets: ['${address}']}]
  oauth2: {client_id: me, client_secret_file: secret, scopes: [a, b], token_url: 'http://${tokens}/token', endpoint_params: {audience: x}}`
  const s = await startScraping(yaml, { base: dir })
  await until('five scrapes', () => used.length >= 5, patience)
  expect(new Set(used)).toEqual(new Set(['Bearer t1']))
  expect(Object.fromEntries(asked[0]!.body)).toEqual({
    grant_type: 'client_credentials',
    audience: 'x',
    scope: 'a b',
  })
  expect(asked[0]!.authorization).toBe(`Basic ${Buffer.from('me:p%26w').toString('base64')}`)
  inBody = true
  life = 1
  writeFileSync(join(dir, 'secret'), 'new')
  await until(
    'a token by the new secret',
    () => asked.some((a) => a.body.get('client_secret') === 'new'),
    patience,
  )
  const before = asked.length
  await until('tokens that expire are renewed', () => asked.length > before + 1, patience)
  await isUp(s, 'j')
})

test('proxies: plain requests forwarded, TLS through CONNECT, no_proxy around, from the environment', async () => {
  const authority = makeAuthority()
  const plain = await serve(metricsPage(() => 'm 1\n'))
  const secure = await serveTls(
    certify(authority, 'scraped.test'),
    metricsPage(() => 'm 2\n'),
  )
  const through: string[] = []
  const proxy = createServer(async (request, response) => {
    through.push(`${request.method} ${request.url}`)
    const answer = await fetch(request.url!)
    response.setHeader('content-type', 'text/plain')
    response.end(await answer.text())
  })
  proxy.on('connect', (request, socket) => {
    through.push(`CONNECT ${request.url} ${request.headers['x-pass']}`)
    const [host = '', port] = request.url!.split(':')
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const at = `http://127.0.0.1:${(proxy.address() as { port: number }).port}`
  const s = await startScraping(
    `
- {job_name: plain, proxy_url: '${at}', static_configs: [{targets: ['${plain}']}]}
- {job_name: around, metrics_path: /around, proxy_url: '${at}', no_proxy: 'example.test,127.0.0.1', static_configs: [{targets: ['${plain}']}]}
- {job_name: environment, metrics_path: /environment, proxy_from_environment: true, static_configs: [{targets: ['${plain}']}]}
- job_name: tls
  scheme: https
  proxy_url: '${at}'
  proxy_connect_header: {X-Pass: [please]}
  tls_config: {ca: ${JSON.stringify(authority.cert)}}
  static_configs: [{targets: ['${secure.address}']}]`,
    { env: { HTTP_PROXY: at } },
  )
  for (const job of ['plain', 'around', 'environment', 'tls']) await isUp(s, job)
  expect(through).toContain(`GET http://${plain}/metrics`)
  expect(through).toContain(`GET http://${plain}/environment`)
  expect(through).toContain(`CONNECT ${secure.address} please`)
  expect(through.join()).not.toContain('/around')
})

test('redirects are followed or not, as the job says', async () => {
  const address = await serve((request, response) => {
    if (request.url === '/moved') return metricsPage(() => 'm 1\n')(request, response)
    response.statusCode = 302
    response.setHeader('location', '/moved')
    response.end()
  })
  const s = await startScraping(`
- {job_name: follows, static_configs: [{targets: ['${address}']}]}
- {job_name: stays, follow_redirects: false, static_configs: [{targets: ['${address}']}]}`)
  await isUp(s, 'follows')
  await isDown(s, 'stays', /answered 302/)
})
