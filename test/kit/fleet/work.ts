// The work that demo agents do: real documents are read, sorted, compressed, hashed and summed up; a broken version cuts them short.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

export type Tool = 'parse' | 'sort' | 'compress' | 'hash'

export interface Document {
  readonly name: string
  readonly text: string
}

/** Reads what every checkout holds: entries of the lock file as JSON documents, and texts. */
export const readDocuments = (root: string): Document[] => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, unknown>
  }
  const entries = Object.entries(lock.packages)
  const out: Document[] = []
  for (let i = 0; i < entries.length; i += 60)
    out.push({
      name: `packages-${i / 60}.json`,
      text: JSON.stringify(Object.fromEntries(entries.slice(i, i + 60))),
    })
  return out
}

const wordsOf = (text: string): string[] => text.toLowerCase().match(/[a-z][a-z0-9]{2,}/g) ?? []

const counts = (words: readonly string[]): Map<string, number> => {
  const out = new Map<string, number>()
  for (const word of words) out.set(word, (out.get(word) ?? 0) + 1)
  return out
}

/** The most frequent words, most frequent first. */
const keyWords = (text: string, most: number): string[] =>
  [...counts(wordsOf(text))]
    .sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1))
    .slice(0, most)
    .map(([word]) => word)

export const tools: Readonly<Record<Tool, (text: string) => number>> = {
  parse: (text) => Object.keys(JSON.parse(text) as object).length,
  sort: (text) => wordsOf(text).sort().length,
  compress: (text) => gzipSync(text).length,
  hash: (text) => createHash('sha256').update(text).digest('hex').length,
}

/** What a model makes of a text: of the words it weighs, it says those that matter. */
export const summarize = (text: string): { weighed: string; answer: string } => {
  const words = keyWords(text, 140)
  return { weighed: words.slice(60).join(' '), answer: words.slice(0, 60).join(' ') }
}

/** What every prompt begins with. */
export const readInstructions = (root: string): string =>
  readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8').slice(0, 2400)

/** Which packages each package of the lock file needs. */
export const readPackages = (root: string): ReadonlyMap<string, readonly string[]> => {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dependencies?: Record<string, string> }>
  }
  return new Map(
    Object.entries(lock.packages).map(([path, { dependencies = {} }]) => [
      path.replace(/^.*node_modules\//, ''),
      Object.keys(dependencies),
    ]),
  )
}

/** How much of what matters in the whole document an answer names: 0 to 1. */
export const score = (whole: string, answer: string): number => {
  const wanted = keyWords(whole, 30)
  const said = new Set(answer.split(' '))
  return wanted.filter((w) => said.has(w)).length / Math.max(wanted.length, 1)
}

/** The fault of the broken version: it takes a number of bytes for a number of letters and reads only the beginning. */
export const cutShort = (text: string): string => text.slice(0, Math.floor(text.length / 8))
