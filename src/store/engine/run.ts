// Runs one parsed statement in the engine: settings into its SETTINGS clause, parameters on its connection, answers piece by piece.
import type { Clock } from '../../lib/clock.ts'
import { duration } from '../../lib/time.ts'
import { headerOf } from './formats.ts'
import { isReading } from './run-kinds.ts'
import type { Lane, Lease, Sessions } from './sessions.ts'
import type { Insert, Read, Statement } from './statement.ts'
import { isWord, quote, SqlError } from './tokens.ts'

export interface Job {
  readonly statement: Statement
  readonly database: string
  readonly format: string
  readonly settings: ReadonlyMap<string, string>
  readonly params: ReadonlyMap<string, string>
  /** Path of the file with an insert's data. */
  readonly dataPath: string | null
  /** Marks the statement, so that it can be killed. */
  readonly mark: string
}

/** What statements are run with. */
export interface Runner {
  readonly sessions: Sessions
  readonly clock: Clock
  readonly warn: (message: string, error: unknown) => void
}

const settingsText = (job: Job, own: ReadonlySet<string>, text: string): string => {
  const clauses = text ? [text] : []
  for (const [name, value] of job.settings) if (!own.has(name)) clauses.push(`${name} = ${quote(value)}`)
  if (!own.has('log_comment')) clauses.push(`log_comment = ${quote(job.mark)}`)
  return clauses.join(', ')
}

/** The engine makes query ids of its own; ours stand in log_comment. */
const killSql = (read: Read): string => {
  let out = ''
  let at = read.tokens[0]!.start
  const from = at
  for (const token of read.tokens) {
    if (!isWord(token, 'QUERY_ID') || token.end - from > read.sql.length) continue
    out += `${read.sql.slice(at - from, token.start - from)}splitByString(' #', Settings['log_comment'])[-1]`
    at = token.end
  }
  return out + read.sql.slice(at - from)
}

const readSql = (job: Job, read: Read): string =>
  `${read.verb === 'KILL' ? killSql(read) : read.sql}\nFORMAT ${job.format} SETTINGS ${settingsText(job, read.ownSettings, read.settings)}`

const insertSql = (job: Job, insert: Insert): string => {
  const settings = `SETTINGS ${settingsText(job, insert.ownSettings, insert.settings)}`
  if (insert.select) return `${insert.head} ${settings} ${insert.select}`
  return `${insert.head} FROM INFILE ${quote(job.dataPath ?? '')} COMPRESSION 'none' ${settings} FORMAT ${insert.format}`
}

const sessionBound = (statement: Statement): boolean =>
  statement.verb === 'SET' ||
  statement.verb === 'USE' ||
  (statement.kind === 'read' &&
    (statement.verb === 'CREATE' || statement.verb === 'DROP') &&
    isWord(statement.tokens[1], 'TEMPORARY'))

const laneOf = (statement: Statement): Lane => {
  if (statement.kind === 'insert') return statement.select ? 'define' : 'insert'
  if (statement.verb === 'KILL') return 'control'
  return isReading(statement.verb) ? 'read' : 'define'
}

const bind = async (lease: Lease, job: Job): Promise<void> => {
  const set: string[] = []
  for (const name of job.statement.params) {
    const value = job.params.get(name)
    if (value === undefined)
      throw new SqlError(456, `Substitution \`${name}\` is not set. (UNKNOWN_QUERY_PARAMETER)`)
    set.push(`param_${name} = ${quote(value)}`)
  }
  if (set.length > 0) await lease.session.queryAsync(`SET ${set.join(', ')}`)
}

/** Pieces of a SELECT as the engine makes them, the header only once. */
async function* streamed(lease: Lease, sql: string, job: Job): AsyncGenerator<Buffer> {
  const header = headerOf(job.format)!
  let cut = -1
  for await (const chunk of lease.session.queryStream(sql, { format: job.format })) {
    const piece = bufferOf(chunk.raw())
    if (cut < 0) {
      cut = header(piece)
      yield piece
    } else yield cut > 0 ? piece.subarray(cut) : piece
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const canStream = (read: Read, format: string): boolean =>
  (read.verb === 'SELECT' || read.verb === 'WITH') &&
  headerOf(format) !== undefined &&
  // Totals come as a piece of their own that cannot be told apart.
  !read.tokens.some((t) => isWord(t, 'TOTALS'))

/** Keeps asking until the statement has ended: a kill that comes before the statement is listed finds nothing. */
const killUntil = async ({ sessions, clock }: Runner, mark: string, ended: () => boolean): Promise<void> => {
  for (let tries = 0; !ended() && tries < 300; tries++) {
    await sessions.kill(mark)
    if (!ended()) await clock.sleep(duration(Math.min(20 * (tries + 1), 500)))
  }
}

/** Runs a job and yields its answer. Leaving the loop early, or `signal`, kills it. Engine errors are thrown as they are. */
export async function* runJob(runner: Runner, job: Job, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { sessions } = runner
  const { statement } = job
  const lease = sessionBound(statement)
    ? sessions.scratch()
    : await sessions.acquire(laneOf(statement), signal)
  let ended = false
  const kill = (): void => {
    killUntil(runner, job.mark, () => ended).catch((error: unknown) =>
      runner.warn('a query could not be killed', error),
    )
  }
  signal.addEventListener('abort', kill, { once: true })
  try {
    if (signal.aborted) throw new SqlError(394, 'Query was cancelled. (QUERY_WAS_CANCELLED)')
    await lease.use(job.database)
    await bind(lease, job)
    if (statement.kind === 'insert') {
      await lease.session.queryAsync(insertSql(job, statement))
      return
    }
    if (statement.verb === 'SET' || statement.verb === 'USE') {
      await lease.session.queryAsync(statement.sql)
      return
    }
    const sql = readSql(job, statement)
    if (canStream(statement, job.format)) yield* streamed(lease, sql, job)
    else yield bufferOf((await lease.session.queryAsync(sql, { format: job.format })).bytes())
  } catch (error) {
    // chDB frees what a failed query held, and takes it off the list of processes, with the connection's next statement.
    await lease.session
      .queryAsync('SELECT 1')
      .catch((after: unknown) => runner.warn('a connection could not be cleared after an error', after))
    throw error
  } finally {
    ended = true
    signal.removeEventListener('abort', kill)
    lease.release()
  }
}
