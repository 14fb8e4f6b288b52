import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { certify, makeAuthority } from '../../test/kit/certificates.ts'
import { secretSchema } from '../lib/config.ts'
import { createHttp } from '../lib/http.ts'
import type { ChannelContext } from '../model/ports/channel.ts'
import { httpConfigSchema, sendWith } from './http-config.ts'

const dir = mkdtempSync(join(tmpdir(), 'http-config-'))
const context: ChannelContext = { secret: secretSchema({}), path: (p) => join(dir, p) }
const plain = createHttp()
const made: ReturnType<typeof createHttp>[] = []
const servers: Server[] = []
const listen = async (server: Server): Promise<number> => {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}
let tls = 0
let http = 0
let proxy = 0
const through: string[] = []
beforeAll(async () => {
  const authority = makeAuthority()
  const [own, client] = [certify(authority, 'receiver.test'), certify(authority, 'airboss.test')]
  writeFileSync(join(dir, 'ca.pem'), authority.cert)
  writeFileSync(join(dir, 'stranger.pem'), makeAuthority().cert)
  writeFileSync(join(dir, 'client.pem'), client.cert)
  writeFileSync(join(dir, 'client.key'), client.key)
  const options = { ...own, ca: authority.cert, requestCert: true, rejectUnauthorized: false }
  tls = await listen(
    createTlsServer(options, (request, response) =>
      response.end((request.socket as unknown as { authorized: boolean }).authorized ? 'known' : 'stranger'),
    ),
  )
  http = await listen(createServer((request, response) => response.end(`${request.headers.authorization}`)))
  const server = createServer((request, response) => {
    through.push(request.url ?? '')
    response.end('by the proxy itself')
  })
  server.on('connect', (request, socket) => {
    through.push(`${request.url} ${request.headers['x-pass']}`)
    const [host, port] = (request.url ?? '').split(':')
    const up = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      up.pipe(socket).pipe(up)
    })
    up.on('error', () => socket.destroy())
    socket.on('error', () => up.destroy())
  })
  proxy = await listen(server)
})
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
  // One whose certificates were replaced is closed already.
  await Promise.allSettled([plain, ...made].map((h) => h.close()))
  rmSync(dir, { recursive: true })
})

const ask = (config: object) => {
  const read = httpConfigSchema(context).parse(config)
  const send = sendWith(read, plain.send, (options) => {
    made.push(createHttp(options))
    return made.at(-1)!
  })
  return async (url: string): Promise<string> => {
    const signal = new AbortController().signal
    return (await send({ url, method: 'POST', headers: read.headers(), body: 'x', signal })).body.toString()
  }
}

test('trusts whom it is told to, and shows its certificate', async () => {
  const url = `https://127.0.0.1:${tls}`
  await expect(ask({})(url)).rejects.toThrow(/certificate|self.signed/i)
  const trusting = { ca_file: 'ca.pem', server_name: 'receiver.test' }
  expect(await ask({ tls_config: trusting })(url)).toBe('stranger')
  expect(
    await ask({ tls_config: { ...trusting, cert_file: 'client.pem', key_file: 'client.key' } })(url),
  ).toBe('known')
  expect(await ask({ tls_config: { insecure_skip_verify: true } })(url)).toBe('stranger')
  await expect(ask({ tls_config: { ca_file: 'ca.pem', server_name: 'other' } })(url)).rejects.toThrow()
})

test('a certificate that is replaced is used from then on', async () => {
  writeFileSync(join(dir, 'turning.pem'), readFileSync(join(dir, 'stranger.pem')))
  const asked = ask({ tls_config: { ca_file: 'turning.pem', server_name: 'receiver.test' } })
  await expect(asked(`https://127.0.0.1:${tls}`)).rejects.toThrow()
  writeFileSync(join(dir, 'turning.pem'), readFileSync(join(dir, 'ca.pem')))
  expect(await asked(`https://127.0.0.1:${tls}`)).toBe('stranger')
})

test('goes through a proxy, but not to whom it need not', async () => {
  const config = {
    proxy_url: `http://127.0.0.1:${proxy}`,
    proxy_connect_header: { 'X-Pass': ['word'] },
    authorization: { credentials: 'tok' },
  }
  const tlsConfig = { tls_config: { ca_file: 'ca.pem', server_name: 'receiver.test' } }
  expect(await ask({ ...config, ...tlsConfig })(`https://127.0.0.1:${tls}`)).toBe('stranger')
  expect(through.splice(0)).toEqual([`127.0.0.1:${tls} word`])
  await ask(config)(`http://127.0.0.1:${http}`)
  expect(through.splice(0)).toHaveLength(1)
  expect(await ask({ ...config, no_proxy: '127.0.0.1' })(`http://127.0.0.1:${http}`)).toBe('Bearer tok')
  expect(through).toEqual([])
})

test('what is refused says why', () => {
  const why = (config: object): string =>
    JSON.stringify(httpConfigSchema(context).safeParse(config).error?.issues)
  expect(why({ proxy_url: 'nope' })).toContain('http://host:port')
  expect(why({ no_proxy: 'x' })).toContain('without proxy_url')
  expect(why({ proxy_from_environment: true })).toContain('proxy_url and no_proxy')
  expect(why({ tls_config: { ca: 'a', ca_file: 'b' } })).toContain('not both')
})
