// The engine's connections: one statement at a time on each, a queue in front of each kind.
import { Session } from 'chdb'
import { quote, SqlError } from './tokens.ts'

/** What a statement needs: parallel reads, the one insert lane, definitions apart from both, and a lane that is always free to kill. */
export type Lane = 'read' | 'insert' | 'define' | 'control'

export interface Lease {
  readonly session: Session
  /** Makes `database` current. */
  use(database: string): Promise<void>
  release(): void
}

interface Slot {
  readonly session: Session
  database: string
}

interface Waiter {
  readonly give: (slot: Slot) => void
}

class LanePool {
  readonly #idle: Slot[]
  readonly #waiting: Waiter[] = []
  readonly #most: number

  constructor(slots: Slot[], most: number) {
    this.#idle = slots
    this.#most = most
  }

  acquire(signal: AbortSignal): Promise<Lease> {
    const slot = this.#idle.pop()
    if (slot) return Promise.resolve(this.#lease(slot))
    if (this.#waiting.length >= this.#most)
      return Promise.reject(
        new SqlError(
          202,
          `Too many simultaneous queries. ${this.#most} wait already. (TOO_MANY_SIMULTANEOUS_QUERIES)`,
        ),
      )
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        give: (given) => {
          signal.removeEventListener('abort', leave)
          resolve(this.#lease(given))
        },
      }
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1)
        reject(new SqlError(394, 'Query was cancelled. (QUERY_WAS_CANCELLED)'))
      }
      this.#waiting.push(waiter)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #lease(slot: Slot): Lease {
    let released = false
    return {
      session: slot.session,
      use: async (database) => {
        if (slot.database === database) return
        await slot.session.queryAsync(`USE \`${database.replace(/[`\\]/g, (c) => `\\${c}`)}\``)
        slot.database = database
      },
      release: () => {
        if (released) return
        released = true
        const next = this.#waiting.shift()
        if (next) next.give(slot)
        else this.#idle.push(slot)
      },
    }
  }
}

export interface Sessions {
  acquire(lane: Lane, signal: AbortSignal): Promise<Lease>
  /** A connection of its own for one statement that would change a connection for good (SET, USE, temporary tables). */
  scratch(): Lease
  /** Stops the statement that carries `mark` as its log_comment; a statement that has ended is no error. */
  kill(mark: string): Promise<void>
  close(): void
}

export interface SessionOptions {
  readonly dir: string
  readonly memoryBytes: number
  readonly readers: number
  readonly threads: number
  /** Statements that may wait in a lane. */
  readonly queue: number
}

/** Opens the data directory; throws what chDB says when another process holds it or it is damaged. */
export const openSessions = (options: SessionOptions): Sessions => {
  const cap = Math.floor(options.memoryBytes)
  const connectionArgs = [
    `--max_server_memory_usage=${cap}`,
    `--max_memory_usage=${Math.floor(cap * 0.6)}`,
    `--mark_cache_size=${Math.floor(cap / 16)}`,
    `--uncompressed_cache_size=0`,
    `--max_threads=${options.threads}`,
    '--allow_experimental_time_series_aggregate_functions=1',
    '--output_format_json_quote_64bit_integers=1',
    '--http_write_exception_in_output_format=0',
  ]
  const all: Session[] = []
  const open = (): Slot => {
    const session = new Session(options.dir, { connectionArgs })
    all.push(session)
    return { session, database: 'default' }
  }
  const lane = (n: number): LanePool => new LanePool(Array.from({ length: n }, open), options.queue)
  const lanes: Record<Lane, LanePool> = {
    read: lane(options.readers),
    insert: lane(1),
    define: lane(1),
    control: lane(1),
  }
  const never = new AbortController().signal
  return {
    acquire: (kind, signal) => lanes[kind].acquire(signal),
    scratch: () => {
      const session = new Session(options.dir, { connectionArgs })
      return {
        session,
        use: async (database) =>
          void (await session.queryAsync(`USE \`${database.replace(/[`\\]/g, (c) => `\\${c}`)}\``)),
        release: () => session.close(),
      }
    },
    kill: async (mark) => {
      const lease = await lanes.control.acquire(never)
      try {
        await lease.session.queryAsync(
          `KILL QUERY WHERE Settings['log_comment'] = ${quote(mark)} AND query NOT LIKE 'KILL%' ASYNC`,
        )
      } finally {
        lease.release()
      }
    },
    close: () => {
      for (const session of all) session.close()
    },
  }
}
