// StatsD's counters over a kill of everything: what was written goes on, nothing counts twice.
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { afterAll, expect, it } from 'vitest'
import { freePort } from '../kit/debian.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

let product: Product | undefined
let again: Product | undefined
afterAll(async () => {
  await again?.dispose()
  await product?.dispose()
})

const mapping = `
defaults: { observer_type: histogram, histogram_options: { buckets: [0.1, 1] } }
mappings:
  - { match: 'shop.*.orders', name: orders_total, labels: { shop: $1 }, help: Orders by shop. }
  - { match: 'noise.*', action: drop, name: noise }
`

it('goes on where it was', async () => {
  const port = await freePort()
  const statsd = `statsd: { udp: '127.0.0.1:${port}', tcp: '127.0.0.1:${port}', interval: 1s, mapping: map.yml }`
  product = await startProduct({
    files: { 'airboss.yaml': `host: { enabled: false }\nrule_files: []\n${statsd}\n`, 'map.yml': mapping },
  })
  const first = product
  const udp = createSocket('udp4')
  const send = (text: string): void => udp.send(text, port, '127.0.0.1')
  send('shop.berlin.orders:3|c|#tier:gold\nnoise.x:1|c\nload.time:50|ms\nfill:7|g\nbad line\n')
  await until(
    'the first flush',
    async () => (await first.value('orders_total{shop="berlin", tier="gold"}')) === 3,
    15_000,
  )
  expect(await first.value('load_time_bucket{le="0.1"}')).toBe(1)
  expect(await first.query('{__name__=~"noise.*"}')).toEqual([])
  const metadata = (await (await first.fetch('/api/v1/metadata?metric=orders_total')).json()) as {
    data: unknown
  }
  expect(metadata.data).toEqual({ orders_total: [{ type: 'counter', help: 'Orders by shop.', unit: '' }] })
  const own = await (await first.fetch('/metrics')).text()
  expect(own).toMatch(/airboss_statsd_refused_total\{reason="no_value"\} 1/)
  first.signal('SIGKILL', 'all')
  again = await startProduct({ dir: first.dir })
  const second = again
  const tcp = connect(port, '127.0.0.1')
  tcp.end('shop.berlin.orders:2|c|#tier:gold\nfill:+1|g\nload.time:500|ms')
  await until('the second flush', async () => (await second.value('orders_total')) === 5, 15_000)
  expect(await second.value('fill')).toBe(8)
  // The last line has no end of its own: it may come with the next flush.
  await until('the last line', async () => (await second.value('load_time_count')) === 2, 15_000)
  expect(await second.value('resets(orders_total[5m])')).toBe(0)
  expect(await second.value('resets(load_time_bucket{le="+Inf"}[5m])')).toBe(0)
  udp.close()
})
