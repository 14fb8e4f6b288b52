// The browser modules as browsers take them: bundled when first asked for, kept on disk for the next start.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../lib/log.ts'

export interface Bundle {
  /** Changes with the sources and the packages they are made of. */
  readonly digest: string
  /** Null where there is no such file. Rejects where the bundle can be neither read nor made. */
  file(name: string): Promise<Buffer | null>
}

const sources = join(dirname(fileURLToPath(import.meta.url)), 'browser')
const entries = ['app.ts', 'plot.ts', 'explore.ts']
const packages = ['esbuild', '@prometheus-io/codemirror-promql', 'uplot']

const digestOf = (version: string): string => {
  const require = createRequire(import.meta.url)
  const hash = createHash('sha256').update(version)
  for (const name of readdirSync(sources).sort())
    if (name.endsWith('.ts')) hash.update(name).update(readFileSync(join(sources, name)))
  for (const name of packages) hash.update((require(`${name}/package.json`) as { version: string }).version)
  return hash.digest('hex').slice(0, 16)
}

/** The editor comes in a part of its own, which only Explore loads. */
const build = async (): Promise<Map<string, Buffer>> => {
  const esbuild = await import('esbuild')
  const { outputFiles } = await esbuild.build({
    entryPoints: entries.map((name) => join(sources, name)),
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    legalComments: 'none',
    outdir: 'out',
    chunkNames: 'part-[hash]',
    write: false,
    logLevel: 'silent',
  })
  await esbuild.stop()
  return new Map(outputFiles.map((f) => [basename(f.path), Buffer.from(f.contents)]))
}

const readKept = async (dir: string): Promise<Map<string, Buffer> | null> => {
  const names = await readdir(dir).catch(() => [])
  if (names.length === 0) return null
  return new Map(await Promise.all(names.map(async (n) => [n, await readFile(join(dir, n))] as const)))
}

/** Whole or not at all: a folder that is half written never has its name. */
const keep = async (dir: string, files: ReadonlyMap<string, Buffer>): Promise<void> => {
  const part = `${dir}.part`
  await rm(part, { recursive: true, force: true })
  await mkdir(part, { recursive: true })
  for (const [name, body] of files) await writeFile(join(part, name), body)
  await rename(part, dir)
}

export const createBundle = (cacheDir: string, version: string, log: Logger): Bundle => {
  const digest = digestOf(version)
  const dir = join(cacheDir, `console-${digest}`)
  const make = async (): Promise<Map<string, Buffer>> => {
    const kept = await readKept(dir)
    if (kept) return kept
    const files = await build()
    await keep(dir, files).catch((error: unknown) =>
      log.warn({ err: error, dir }, 'browser modules not kept; they are made anew at the next start'),
    )
    return files
  }
  let made: Promise<Map<string, Buffer>> | null = null
  return {
    digest,
    file: async (name) => {
      made ??= make()
      try {
        return (await made).get(name) ?? null
      } catch (error) {
        made = null
        throw error
      }
    },
  }
}
