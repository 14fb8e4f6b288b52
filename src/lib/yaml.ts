// YAML read against a zod schema; every error names file, line, path and the mend.
import { type Document, isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { AppError } from './errors.ts'

export interface Problem {
  readonly file: string
  readonly line: number
  readonly path: string
  readonly message: string
}

export interface YamlText {
  readonly file: string
  readonly value: unknown
  /** The 1-based line of a path, of its nearest parent where the path itself is missing. */
  lineOf(path: readonly PropertyKey[]): number
  /** The line of a key itself, for keys that should not be there. */
  lineOfKey(path: readonly PropertyKey[], key: string): number
}

export const say = (p: Problem): string => `${p.file}:${p.line}: ${p.path ? `${p.path}: ` : ''}${p.message}`
export const problemsError = (problems: readonly Problem[]): AppError =>
  new AppError('bad_data', problems.map(say).join('\n'))

const nodeAt = (doc: Document, path: readonly PropertyKey[]): unknown =>
  doc.getIn(path as (string | number)[], true)

const rangeOf = (node: unknown): number | undefined =>
  (node as { range?: readonly number[] } | undefined)?.range?.[0]

/**
 * Parses one YAML document with merge keys; a syntax error throws `bad_data` with file and line. The `failsafe` schema leaves every
 * scalar the text it was written as (`1.10`, `0x40`, an empty one is '').
 */
export const parseYaml = (text: string, file: string, schema: 'core' | 'failsafe' = 'core'): YamlText => {
  const counter = new LineCounter()
  const doc = parseDocument(text, {
    lineCounter: counter,
    merge: true,
    schema,
    prettyErrors: false,
    uniqueKeys: true,
  })
  const line = (offset: number | undefined): number =>
    offset === undefined ? 1 : counter.linePos(offset).line
  if (doc.errors.length > 0) {
    throw problemsError(doc.errors.map((e) => ({ file, line: line(e.pos[0]), path: '', message: e.message })))
  }
  const lineOf = (path: readonly PropertyKey[]): number => {
    for (let n = path.length; n > 0; n--) {
      const parent = nodeAt(doc, path.slice(0, n - 1))
      if (isMap(parent)) {
        const pair = parent.items.find((i) => isScalar(i.key) && String(i.key.value) === String(path[n - 1]))
        if (pair) return line(rangeOf(pair.key))
      }
      const at = rangeOf(nodeAt(doc, path.slice(0, n)))
      if (at !== undefined) return line(at)
    }
    return line(rangeOf(doc.contents))
  }
  return {
    file,
    value: doc.toJS({ maxAliasCount: 100 }),
    lineOf,
    lineOfKey: (path, key) => lineOf([...path, key]),
  }
}

const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>(
    (t, k) => (typeof k === 'number' ? `${t}[${k}]` : t ? `${t}.${String(k)}` : String(k)),
    '',
  )

type Issue = z.core.$ZodIssue

const isOtherWord = (i: Issue): boolean => i.path.length === 0 && i.code === 'invalid_value'

/** What is wrong in the one form of a union that the value was clearly meant to have; else the union's own message. */
const meant = (issue: Issue): Issue[] => {
  if (issue.code !== 'invalid_union') return [issue]
  const typed = issue.errors.filter(
    (form) => !form.some((i) => i.path.length === 0 && i.code === 'invalid_type'),
  )
  const known = typed.filter((form) => !form.some((i) => i.code === 'unrecognized_keys'))
  const close = known.length > 0 ? known : typed
  // A form that is one of some words was not meant where another can say more.
  const said = close.length > 1 ? close.filter((form) => !form.some(isOtherWord)) : close
  if (said.length !== 1) return [issue]
  return said[0]!.flatMap((i) => meant({ ...i, path: [...issue.path, ...i.path] }))
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  null: 'nothing',
}

/** The schema's own messages in the words of somebody who writes YAML; messages of ours as they are. */
const worded = (message: string): string => {
  const options = /^Invalid option: expected one of (.+)$/s.exec(message)
  if (options) return `must be one of ${options[1]!.replaceAll('"', '').replaceAll('|', ', ')}`
  const type = /^Invalid input: expected (\w+), received (\w+)$/.exec(message)
  if (!type) return message
  const [wanted, given] = [type[1]!, type[2]!].map((kind) => kinds[kind] ?? kind)
  return given === 'undefined' ? `is needed: ${wanted}` : `must be ${wanted}, not ${given}`
}

/** A problem at a path of the file. */
export const problemAt = (yaml: YamlText, path: readonly PropertyKey[], message: string): Problem => ({
  file: yaml.file,
  line: yaml.lineOf(path),
  path: pathText(path),
  message,
})

/** All that a schema finds wrong, each with its place. */
export const problemsOf = (yaml: YamlText, error: z.ZodError): Problem[] =>
  error.issues.flatMap(meant).flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({
        file: yaml.file,
        line: yaml.lineOfKey(issue.path, key),
        path: pathText([...issue.path, key]),
        message: 'unknown key; check its spelling, or remove it',
      }))
    }
    return [problemAt(yaml, issue.path, worded(issue.message))]
  })

/** Reads YAML text as `schema` says; throws `bad_data` listing every problem as `file:line: path: message`. An empty document is `{}`. */
export const readYaml = <S extends z.ZodType>(schema: S, text: string, file: string): z.output<S> => {
  const yaml = parseYaml(text, file)
  const parsed = schema.safeParse(yaml.value ?? {})
  if (!parsed.success) throw problemsError(problemsOf(yaml, parsed.error))
  return parsed.data
}
