// The PromQL editor for browsers: bundled from its packages when first asked for, kept for the next start.
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const source = join(dirname(fileURLToPath(import.meta.url)), 'browser/editor.ts')

const build = async (): Promise<Buffer> => {
  const esbuild = await import('esbuild')
  const { outputFiles } = await esbuild.build({
    entryPoints: [source],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    legalComments: 'none',
    write: false,
    logLevel: 'silent',
  })
  await esbuild.stop()
  return Buffer.from(outputFiles[0]!.contents)
}

/** What the bundle depends on, so that an upgrade makes it anew. */
const fingerprint = async (): Promise<string> => {
  const require = createRequire(import.meta.url)
  const hash = createHash('sha256').update(await readFile(source))
  for (const name of ['esbuild', '@prometheus-io/codemirror-promql'])
    hash.update((require(`${name}/package.json`) as { version: string }).version)
  return hash.digest('hex').slice(0, 16)
}

/** Gives the bundle, made once a process at most. Rejects where it can be neither read nor made. */
export const editorBundle = (cacheDir: string): (() => Promise<Buffer>) => {
  let made: Promise<Buffer> | null = null
  const make = async (): Promise<Buffer> => {
    const path = join(cacheDir, `editor-${await fingerprint()}.js`)
    const kept = await readFile(path).catch(() => null)
    if (kept) return kept
    const bundle = await build()
    await mkdir(cacheDir, { recursive: true })
    await writeFile(`${path}.part`, bundle)
    await rename(`${path}.part`, path)
    return bundle
  }
  return () => {
    made ??= make().catch((error: unknown) => {
      made = null
      throw error
    })
    return made
  }
}
