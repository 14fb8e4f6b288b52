// Asked to end, the product ends soon and cleanly, however its engine is.
import { expect, test } from 'vitest'
import { startProduct } from '../kit/product.ts'

test.each([0, 1500])(
  'ends when its engine, with nothing to do, has stood still for %i ms',
  async (wait) => {
    const files = { 'airboss.yaml': 'rule_files: []\nhost: { enabled: false }\nself: { interval: 1h }\n' }
    const product = await startProduct({ files })
    try {
      process.kill(product.enginePid()!, 'SIGSTOP')
      await new Promise((resolve) => setTimeout(resolve, wait))
      const began = performance.now()
      expect(await product.stop()).toBe(0)
      expect(performance.now() - began).toBeLessThan(8000)
      expect(product.pids()).toEqual([])
    } finally {
      await product.dispose()
    }
  },
  60_000,
)
