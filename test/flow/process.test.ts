// Stories of the real process: it is killed, stalled, misconfigured and started again, and nothing acknowledged is lost.
import { afterEach, expect, it } from 'vitest'
import { type Product, type ProductOptions, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const cleanups: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})
const start = async (options?: ProductOptions): Promise<Product> => {
  const product = await startProduct(options)
  cleanups.push(product.dispose)
  return product
}

it('leaves nothing behind when its main process alone is killed, and has the data when it starts again', async () => {
  const first = await start({ files: { 'airboss.yaml': 'rule_files: []\nhost: { enabled: false }\n' } })
  const now = Date.now()
  await first.remoteWrite([
    {
      labels: { __name__: 'kept', a: 'x' },
      samples: [
        [7, now - 1000],
        [8, now],
      ],
    },
  ])
  expect(first.enginePid()).not.toBeNull()
  expect(first.pids()).toHaveLength(2)
  await first.stop('SIGKILL')
  await until('all of its processes to end', () => first.pids().length === 0, 10_000)

  const again = await start({ dir: first.dir })
  expect(await again.value('kept', now)).toBe(8)
  expect(await again.value('count_over_time(kept[5m])', now)).toBe(2)
})
