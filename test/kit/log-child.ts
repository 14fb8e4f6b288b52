// A process to be killed: pushes numbered samples through a log and prints each number when it is acknowledged.
import { join } from 'node:path'
import { systemClock } from '../../src/lib/clock.ts'
import { AppError } from '../../src/lib/errors.ts'
import { createLogger } from '../../src/lib/log.ts'
import { duration } from '../../src/lib/time.ts'
import { sampleBatch } from '../../src/model/batch.ts'
import { labelsOf } from '../../src/model/labels.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { openLog } from '../../src/store/log.ts'
import { fileWriter } from './file-writer.ts'
import { fakeMetrics } from './metrics.ts'

const [, , dir = '', firstText = '0', countText = '0'] = process.argv
const table = new SeriesTable(1000)
const files = fileWriter(join(dir, 'store'), table)
let calls = 0
const log = openLog({
  dir: join(dir, 'log'),
  table,
  writer: {
    // Fails before and after the rows are in, as a store that is killed does.
    write: async (batch, token, signal) => {
      if (++calls % 3 === 0) throw new AppError('unavailable', 'away')
      await files.write(batch, token, signal)
      if (calls % 5 === 0) throw new AppError('unavailable', 'answer lost')
    },
  },
  producers: [],
  maxBytes: 1 << 20,
  keepBytes: 1 << 16,
  sealAfter: duration(15),
  sealRows: 300,
  clock: systemClock,
  log: createLogger({ level: 'error' }),
  metrics: fakeMetrics(),
  accepted: () => undefined,
  replayed: () => undefined,
})
await log.start()
const signal = new AbortController().signal
const first = Number(firstText)
const count = Number(countText)
for (let i = first; i < first + count; ) {
  const group: Promise<void>[] = []
  for (let k = 0; k < 5 && i < first + count; k++, i++) {
    const n = i
    const refs = [0, 1, 2].map((s) => table.intern(labelsOf({ __name__: 'm', s: String((n + s) % 50) })))
    const batch = sampleBatch(refs, [n, n, n], [n, n, n])
    group.push(log.push(batch, signal).then(() => void process.stdout.write(`${n}\n`)))
  }
  await Promise.all(group)
}
await log.flush(signal)
await log.drain()
process.stdout.write('end\n')
