// Styles and browser modules under an address that names their content, so that browsers keep them for good.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import type { Bundle } from './bundle.ts'

export interface Asset {
  readonly type: string
  readonly body: Buffer
  readonly gzip: Buffer
}
export interface Assets {
  /** Where they are: `/console/assets/<digest>`. */
  readonly base: string
  /** Null where there is none of that name. */
  get(name: string): Promise<Asset | null>
}

const here = dirname(fileURLToPath(import.meta.url))
const script = 'text/javascript; charset=utf-8'
const css = 'text/css; charset=utf-8'
const asset = (type: string, body: Buffer): Asset => ({ type, body, gzip: gzipSync(body) })

/** The styles are read at once, the modules when they are first asked for. */
export const loadAssets = (bundle: Bundle): Assets => {
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot'))
  const sheets = [join(uplot, 'uPlot.min.css'), join(here, 'assets/airboss.css')]
  const styles = Buffer.from(sheets.map((path) => readFileSync(path, 'utf8')).join('\n'))
  const digest = createHash('sha256').update(bundle.digest).update(styles).digest('hex').slice(0, 12)
  const known = new Map<string, Asset>([['airboss.css', asset(css, styles)]])
  return {
    base: `/console/assets/${digest}`,
    get: async (name) => {
      const ready = known.get(name)
      if (ready) return ready
      const body = await bundle.file(name)
      if (!body) return null
      const made = asset(script, body)
      known.set(name, made)
      return made
    },
  }
}
