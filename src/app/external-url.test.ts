import { hostname } from 'node:os'
import { expect, it } from 'vitest'
import { externalURLOf } from './external-url.ts'

it.each([
  [{ http: '127.0.0.1:9900' }, '', 'http://127.0.0.1:9900'],
  [{ http: '127.0.0.1:9900' }, 'http://127.0.0.1:9900', 'http://127.0.0.1:9900'],
  [{ http: '127.0.0.1:0' }, 'http://127.0.0.1:41234', 'http://127.0.0.1:41234'],
  [{ http: '[::1]:0' }, 'http://[::1]:41234', 'http://[::1]:41234'],
  [{ http: 'ops.example:80' }, 'http://ops.example:80', 'http://ops.example'],
  [{ http: '0.0.0.0:9900' }, 'http://0.0.0.0:9900', `http://${hostname()}:9900`],
  [{ http: '[::]:0' }, 'http://[::]:9901', `http://${hostname()}:9901`],
  [{ http: ':9900' }, 'http://127.0.0.1:9900', `http://${hostname()}:9900`],
  [
    { http: '0.0.0.0:0', external_url: 'https://ops.example/air' },
    'http://0.0.0.0:9',
    'https://ops.example/air',
  ],
  [{ http: ':0', external_url: 'https://ops.example/' }, 'http://127.0.0.1:9', 'https://ops.example'],
])('%o bound to %s is reached by %s', (listen, bound, url) => {
  expect(externalURLOf(listen, bound)).toBe(url)
})
