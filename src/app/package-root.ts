// Where the package lies: shipped rules, assets and its own version are read from there, in a checkout and installed alike.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const find = (from: string): string => {
  const up = dirname(from)
  if (existsSync(join(from, 'package.json')) || up === from) return from
  return find(up)
}

export const packageRoot = find(dirname(fileURLToPath(import.meta.url)))
export const version: string = (
  JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
).version
