// Bodies are held within a bound, however many senders begin one and do not end it.
import { connect } from 'node:net'
import { expect, it } from 'vitest'
import { until } from '../../test/kit/until.ts'
import { createInFlight } from '../lib/in-flight.ts'
import { silentLogger } from '../lib/log.ts'
import { mount } from './mount.ts'
import { createHttpServer } from './server.ts'

it('answers 503 while bodies on their way fill the room, and takes more when they have gone', async () => {
  const room = createInFlight(4 << 20)
  const server = createHttpServer({
    name: 'test',
    listen: '127.0.0.1:0',
    authenticate: () => ({ id: 'anonymous', kind: 'anonymous' }),
    log: silentLogger(),
    routes: (app) =>
      app.post(
        '/take',
        mount(
          {
            maxBytes: 64 << 20,
            handle: ({ body }) => Promise.resolve({ status: 200, body: String(body.length) }),
          },
          room,
        ),
      ),
  })
  await server.start()
  const url = `${server.address()}/take`
  const send = (bytes: number): Promise<Response> =>
    fetch(url, { method: 'POST', body: new Uint8Array(bytes) })
  try {
    const slow = connect(Number(new URL(url).port), '127.0.0.1')
    slow.on('error', () => undefined)
    slow.write(`POST /take HTTP/1.1\r\nhost: x\r\ncontent-length: ${32 << 20}\r\n\r\n`)
    await until('the announced body to be met', () => room.bytes > 0)
    expect(room.bytes, 'what is only announced takes little').toBeLessThan(2 << 20)
    slow.write(new Uint8Array((7 << 19) + 1))
    await until('the room to be full', () => room.bytes === 4 << 20)
    const refused = await send(2 << 20)
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    slow.destroy()
    await until('the room to be free', () => room.bytes === 0)
    const taken = await send(3 << 20)
    expect([taken.status, await taken.text()]).toEqual([200, String(3 << 20)])
    await until('the room to be free', () => room.bytes === 0)
  } finally {
    await server.drain()
  }
})
