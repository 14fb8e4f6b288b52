// The engine's errors as a ClickHouse server tells them: code, text and HTTP status.
import { SqlError } from './tokens.ts'

export interface Failure {
  readonly code: number
  readonly text: string
  readonly status: number
}

const statuses: Record<number, number> = {
  6: 400,
  26: 400,
  27: 400,
  34: 400,
  36: 400,
  38: 400,
  41: 400,
  42: 400,
  43: 400,
  44: 400,
  53: 400,
  62: 400,
  69: 400,
  70: 400,
  72: 400,
  117: 400,
  130: 400,
  131: 400,
  202: 503,
  456: 400,
  457: 400,
  46: 404,
  47: 404,
  50: 404,
  56: 404,
  60: 404,
  63: 404,
  73: 404,
  81: 404,
  115: 404,
  159: 408,
  209: 408,
  194: 401,
  516: 403,
  497: 403,
  48: 501,
  354: 413,
}

const wrapped = /^(?:ChdbError: )?(?=Code: \d+)/

/** Reads `Code: N. DB::Exception: …` out of anything thrown; what has no code is 1002 (unknown exception). */
export const failureOf = (error: unknown, version: string): Failure => {
  const message = (error instanceof Error ? error.message : String(error)).replace(wrapped, '').trim()
  const found = /Code: (\d+)/.exec(message)
  const code =
    error instanceof SqlError
      ? error.code
      : ((error as { clickhouseCode?: number }).clickhouseCode ?? (found ? Number(found[1]) : 1002))
  const bare = message.startsWith('Code: ') ? message : `Code: ${code}. DB::Exception: ${message}`
  const named =
    /\([A-Z0-9_]{4,}\)\s*$/.test(bare) || /\(version /.test(bare) ? bare : `${bare} (UNKNOWN_EXCEPTION)`
  const text = /\(version [^)]*\)/.test(named) ? named : `${named} (version ${version} (official build))`
  return { code, text, status: statuses[code] ?? 500 }
}
