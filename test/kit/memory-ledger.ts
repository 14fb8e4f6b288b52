// A ledger in memory with compare-and-set, for tests that need documents but no disk.
import { AppError } from '../../src/lib/errors.ts'
import { instant } from '../../src/lib/time.ts'
import type { Ledger, LedgerVersion } from '../../src/model/ports/ledger.ts'

export const memoryLedger = (): Ledger => {
  const all: LedgerVersion[] = []
  const newest = (kind: string, id: string) => all.findLast((v) => v.kind === kind && v.id === id) ?? null
  return {
    get: <T>(kind: string, id: string) => newest(kind, id) as LedgerVersion<T> | null,
    list: <T>(kind: string) => {
      const ids = new Set(all.filter((v) => v.kind === kind).map((v) => v.id))
      const living = [...ids].flatMap((id) => newest(kind, id) ?? []).filter((v) => v.value !== null)
      return living.sort((a, b) => b.sequence - a.sequence) as LedgerVersion<T>[]
    },
    history: ({ kind, id, limit }) =>
      all
        .filter((v) => (!kind || v.kind === kind) && (!id || v.id === id))
        .reverse()
        .slice(0, limit),
    put: async <T>(kind: string, id: string, value: T | null, options: Parameters<Ledger['put']>[3]) => {
      const before = newest(kind, id)?.version ?? 0
      if (options.expect !== undefined && options.expect !== before)
        throw new AppError('conflict', `version ${before}, not ${options.expect}`)
      const version: LedgerVersion<T> = {
        ...{ kind, id, value, version: before + 1, by: options.by.id, why: options.why },
        ...{ at: instant(0), sequence: all.length + 1, hash: '' },
      }
      all.push(version)
      return version
    },
  }
}
