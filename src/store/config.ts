// How the store is configured: an embedded engine with a memory cap, or a ClickHouse server or cluster.
import { z } from 'zod'
import { secretSchema } from '../lib/config.ts'

const word = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be letters, digits and underscores')

/** `storage.clickhouse`: a server of one's own instead of the embedded engine. `env` gives the environment for secrets. */
export const clickhouseSchema = (env: Readonly<Record<string, string | undefined>>) =>
  z.strictObject({
    /** `http://host:8123` or `https://host:8443`. */
    url: z.url({ protocol: /^https?$/, error: 'must be an http or https address, as http://localhost:8123' }),
    user: z.string().default('default'),
    password: secretSchema(env).prefault(''),
    database: word.default('airboss'),
    /** Name of a cluster in the server's configuration: tables are then Replicated and Distributed. */
    cluster: word.optional(),
  })

/** `storage.engine`: the embedded engine. */
export const engineSchema = z
  .strictObject({
    /** Cap of its memory in bytes; at least 512 MiB. */
    memory_bytes: z
      .int()
      .min(512 * 1024 ** 2, 'must be at least 536870912 (512 MiB)')
      .default(2 * 1024 ** 3),
    /** Reads at one time. */
    readers: z.int().min(1).max(32).default(4),
    /** Threads one query may use. */
    threads: z.int().min(1).max(256).default(4),
  })
  .prefault({})
