// Styles and browser modules under an address that names their content, so that browsers keep them for good.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire, stripTypeScriptTypes } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

export interface Asset {
  readonly type: string
  readonly body: Buffer
  readonly gzip: Buffer
}
export interface Assets {
  /** Where they are: `/console/assets/<digest>`. */
  readonly base: string
  /** Null where there is none of that name. */
  get(name: string): Asset | null
}

const here = dirname(fileURLToPath(import.meta.url))
const script = 'text/javascript; charset=utf-8'
const packages: Readonly<Record<string, string>> = { uplot: './uplot.js' }

const asset = (type: string, text: string | Buffer): Asset => {
  const body = Buffer.from(text)
  return { type, body, gzip: gzipSync(body) }
}

/** A browser module as the browser takes it: without types, its packages by address. */
const browserModule = (path: string): string =>
  stripTypeScriptTypes(readFileSync(path, 'utf8'), { mode: 'strip' }).replace(
    /(from\s*)'([^'./][^']*)'/g,
    (whole, from: string, name: string) => (packages[name] ? `${from}'${packages[name]}'` : whole),
  )

/** Reads everything once; `version` goes into the address for what is made later (the editor). */
export const loadAssets = (version: string): Assets => {
  const uplot = dirname(createRequire(import.meta.url).resolve('uplot'))
  const all = new Map<string, Asset>()
  const css = [join(uplot, 'uPlot.min.css'), join(here, 'assets/airboss.css')]
  all.set('airboss.css', asset('text/css; charset=utf-8', css.map((p) => readFileSync(p, 'utf8')).join('\n')))
  all.set('uplot.js', asset(script, readFileSync(join(uplot, 'uPlot.esm.js'))))
  const browser = join(here, 'browser')
  if (existsSync(browser))
    for (const name of readdirSync(browser)) {
      if (name.endsWith('.ts') && name !== 'editor.ts')
        all.set(name, asset(script, browserModule(join(browser, name))))
    }
  const digest = createHash('sha256').update(version)
  for (const [name, { body }] of all) digest.update(name).update(body)
  return {
    base: `/console/assets/${digest.digest('hex').slice(0, 12)}`,
    get: (name) => all.get(name) ?? null,
  }
}
