// A log's own name, made once: tokens under it never meet those of another log.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { readSnapshot, writeSnapshot } from '../lib/snapshot-file.ts'

export interface LogIdentity {
  readonly uuid: string
  /** When the log was made, in milliseconds: a new log knows of nothing before it. */
  readonly createdAt: number
}

export const identifyLog = async (dir: string, clock: Clock): Promise<LogIdentity> => {
  const path = join(dir, 'log.json')
  const known = await readSnapshot(path)
  if (known) return JSON.parse(String(known)) as LogIdentity
  const identity: LogIdentity = { uuid: randomUUID(), createdAt: clock.now() }
  await writeSnapshot(path, JSON.stringify(identity))
  return identity
}
