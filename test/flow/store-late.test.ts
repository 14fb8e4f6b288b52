// A ClickHouse server that is away when Airboss starts and comes later: everything it holds is then read, nothing is answered in part before.
import { connect, createServer, type Server, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { type Product, startProduct } from '../kit/product.ts'
import { testEngine } from '../kit/store.ts'
import { until } from '../kit/until.ts'

/** A port that leads to `url()` while it is open, and to nobody while it is not. */
const gate = async (url: () => string | null) => {
  const open = (port: number): Promise<Server> =>
    new Promise((resolve, reject) => {
      const server = createServer((socket) => {
        const to = connect(Number(new URL(url()!).port), '127.0.0.1')
        for (const s of [socket, to]) {
          sockets.add(s)
          s.on('error', () => undefined).on('close', () => {
            socket.destroy()
            to.destroy()
            sockets.delete(s)
          })
        }
        socket.pipe(to).pipe(socket)
      })
      server.once('error', reject)
      server.listen(port, '127.0.0.1', () => resolve(server))
    })
  const sockets = new Set<Socket>()
  let server: Server | null = await open(0)
  const { port } = server.address() as { port: number }
  return {
    port,
    open: async () => {
      server ??= await open(port)
    },
    close: async () => {
      const was = server
      server = null
      for (const s of sockets) s.destroy()
      await new Promise<void>((done) => (was ? was.close(() => done()) : done()))
    },
  }
}

test('history in a server that comes late is refused until it is known, then read whole', async () => {
  const engine = await testEngine()
  const door = await gate(() => engine.url())
  const { user, password } = engine.credentials
  const files = {
    'airboss.yaml': `
host: { enabled: false }
rule_files: []
storage:
  log: { max_size: 64MB }
  clickhouse: { url: 'http://127.0.0.1:${door.port}', user: ${user}, password: '${password}', database: late }
`,
  }
  const running: Product[] = []
  const start = async (): Promise<Product> => {
    const product = await startProduct({ files })
    running.push(product)
    return product
  }
  const history = 'count_over_time(told[2h])'
  try {
    const first = await start()
    const times = [50, 40, 30, 20].map((m) => Date.now() - m * 60_000)
    await first.remoteWrite([
      { labels: { __name__: 'told', of: 'old' }, samples: times.map((t, i) => [i, t]) },
    ])
    await until('the rows in the store', async () => (await engineRows(engine)) === 4, 10_000)
    expect(await first.stop()).toBe(0)

    // Another machine's Airboss, as it were: nothing of its own on disk, and a server that does not answer.
    await door.close()
    const began = Date.now()
    const second = await start()
    const now = Date.now()
    expect(Date.now() - began, 'starts without waiting long').toBeLessThan(20_000)
    await second.remoteWrite([{ labels: { __name__: 'told', of: 'new' }, samples: [[1, now]] }])
    await expect(second.query(history)).rejects.toThrow(/store/)

    await door.open()
    const rows = await until(
      'the history',
      () =>
        second.query(history).then(
          (r) => (r.length === 2 ? r : null),
          () => null,
        ),
      30_000,
    )
    expect(rows.map((r) => [r.metric['of'], r.value[1]]).sort()).toEqual([
      ['new', '1'],
      ['old', '4'],
    ])
    const values = (await (await second.fetch('/api/v1/label/of/values')).json()) as { data: string[] }
    expect(values.data).toEqual(['new', 'old'])
    expect(await second.stop()).toBe(0)
  } finally {
    for (const product of running) await product.dispose()
    await door.close()
    await engine.remove()
  }
}, 120_000)

test('tables are made in an empty server that comes late', async () => {
  const engine = await testEngine()
  const door = await gate(() => engine.url())
  const { user, password } = engine.credentials
  const files = {
    'airboss.yaml': `
host: { enabled: false }
rule_files: []
storage:
  clickhouse: { url: 'http://127.0.0.1:${door.port}', user: ${user}, password: '${password}', database: late }
`,
  }
  await door.close()
  const product = await startProduct({ files })
  try {
    const now = Date.now()
    await product.remoteWrite([{ labels: { __name__: 'told' }, samples: [[1, now]] }])
    await door.open()
    await until('the rows in the store', async () => (await engineRows(engine).catch(() => 0)) === 1, 30_000)
    expect(await product.stop()).toBe(0)
  } finally {
    await product.dispose()
    await door.close()
    await engine.remove()
  }
}, 120_000)

const engineRows = async (engine: Awaited<ReturnType<typeof testEngine>>): Promise<number> => {
  const { user, password } = engine.credentials
  const query =
    "SELECT count() FROM late.samples WHERE id IN (SELECT id FROM late.series WHERE metric = 'told')"
  const answer = await fetch(`${engine.url()}/?query=${encodeURIComponent(query)}`, {
    headers: { 'x-clickhouse-user': user, 'x-clickhouse-key': password },
  })
  if (!answer.ok) throw new Error(await answer.text())
  return Number(await answer.text())
}
