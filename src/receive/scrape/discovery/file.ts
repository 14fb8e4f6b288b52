// file_sd_configs: targets from YAML and JSON files, read again when they change.
import { watch } from 'node:fs'
import { glob, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf } from '../../../lib/errors.ts'
import { duration } from '../../../lib/time.ts'
import { readYaml } from '../../../lib/yaml.ts'
import { type FileSdConfig, targetGroupsSchema } from '../discovery-config.ts'
import type { TargetGroup } from '../target.ts'
import { type Discoverer, noTargets, type RefreshDeps, refreshing, type Update } from './discoverer.ts'

// Who writes a file in two steps is given this long for the second.
const settle = duration(150)

/** Groups of a file's or an answer's text, their sources `source:0`, `source:1` …; throws `bad_data` with `file:line: path: message`. */
export const groupsOf = (
  text: string,
  source: string,
  meta: Readonly<Record<string, string>>,
): TargetGroup[] => {
  const parsed = /^\s*$/.test(text) ? [] : (quick(text) ?? readYaml(targetGroupsSchema, text, source))
  return parsed.map(({ targets, labels }, i) => ({
    source: `${source}:${i}`,
    targets: targets.map((address) => ({ __address__: address })),
    labels: { ...labels, ...meta },
  }))
}

/** JSON the fast way; null for what is none, or not as it should be: then the slow way says where. */
const quick = (text: string) => {
  if (!/^\s*\[/.test(text)) return null
  try {
    const parsed = targetGroupsSchema.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

interface Known {
  readonly text: string
  readonly groups: number
}

class FileDiscovery implements Discoverer {
  readonly #config: FileSdConfig
  readonly #deps: RefreshDeps
  readonly #known = new Map<string, Known>()
  #update: Update = () => {}
  readonly #watched = new Set<string>()
  #settling: { cancel(): void } | null = null
  #looking: Promise<void> | null = null
  #again = false

  constructor(config: FileSdConfig, deps: RefreshDeps) {
    this.#config = config
    this.#deps = deps
  }

  async start(update: Update, signal: AbortSignal): Promise<void> {
    this.#update = update
    signal.addEventListener('abort', () => this.#settling?.cancel(), { once: true })
    await refreshing(this.#deps.clock, this.#config.refresh_interval, signal, () => {
      // A directory that was not there may be now.
      this.#watch(signal)
      return this.#look()
    })
  }

  /** Directories are watched, not files: a file may be new, or put in place by a rename or a link. */
  #watch(signal: AbortSignal): void {
    const { clock, log } = this.#deps
    const changed = (): void => {
      this.#settling?.cancel()
      this.#settling = clock.after(settle, () => void this.#look())
    }
    for (const dir of new Set(this.#config.files.map(dirname))) {
      if (this.#watched.has(dir)) continue
      const lost = (error: unknown): void => {
        this.#watched.delete(dir)
        if (!signal.aborted)
          log.warn(
            { dir, why: messageOf(error) },
            'directory of discovery files cannot be watched; it is looked at every refresh_interval',
          )
      }
      try {
        watch(dir, { persistent: false, signal }, changed).on('error', lost)
        this.#watched.add(dir)
      } catch (error) {
        lost(error)
      }
    }
  }

  /** One look at a time; a change that comes meanwhile makes another. */
  #look(): Promise<void> {
    if (this.#looking) {
      this.#again = true
      return this.#looking
    }
    this.#looking = this.#readAll().finally(() => {
      this.#looking = null
      if (!this.#again) return
      this.#again = false
      void this.#look()
    })
    return this.#looking
  }

  async #readAll(): Promise<void> {
    const seen = new Set<string>()
    for (const pattern of this.#config.files) {
      try {
        if (!pattern.includes('*')) {
          if (await there(pattern)) seen.add(pattern)
          else if (!this.#known.has(pattern)) throw new Error('there is no such file')
        } else for await (const path of glob(pattern)) seen.add(path)
        this.#deps.report.worked(pattern)
      } catch (error) {
        this.#deps.report.failed(pattern, error)
      }
    }
    for (const path of [...seen].sort()) await this.#read(path)
    for (const [path, { groups }] of this.#known) {
      if (seen.has(path)) continue
      this.#known.delete(path)
      this.#update(sources(path, 0, groups))
    }
  }

  async #read(path: string): Promise<void> {
    const { report } = this.#deps
    try {
      const text = await readFile(path, 'utf8')
      const known = this.#known.get(path)
      if (known?.text !== text) {
        const groups = groupsOf(text, path, { __meta_filepath: path })
        this.#known.set(path, { text, groups: groups.length })
        this.#update([...groups, ...sources(path, groups.length, known?.groups ?? 0)])
      }
      report.worked(path)
    } catch (error) {
      report.failed(path, error)
    }
  }
}

const there = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )

const sources = (path: string, from: number, to: number): TargetGroup[] =>
  Array.from({ length: Math.max(to - from, 0) }, (_, i) => noTargets(`${path}:${from + i}`))

/** A file that cannot be read or understood keeps its old targets; one that is gone takes them with it. */
export const createFileDiscovery = (config: FileSdConfig, deps: RefreshDeps): Discoverer =>
  new FileDiscovery(config, deps)
