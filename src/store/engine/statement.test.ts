import { describe, expect, it } from 'vitest'
import { type Insert, parseStatement, type Read } from './statement.ts'
import { quote, tokensOf, unquote } from './tokens.ts'

const read = (sql: string): Read => {
  const statement = parseStatement(sql)
  if (statement.kind !== 'read') throw new Error('not a read')
  return statement
}
const insert = (sql: string): Insert => {
  const statement = parseStatement(sql)
  if (statement.kind !== 'insert') throw new Error('not an insert')
  return statement
}

describe('reading statements', () => {
  it.each([
    ['SELECT 1', 'SELECT 1', null, ''],
    ['SELECT 1;;', 'SELECT 1', null, ''],
    ['SELECT 1 FORMAT JSON;', 'SELECT 1', 'JSON', ''],
    ['SELECT 1 format `CSV` -- FORMAT TSV', 'SELECT 1', 'CSV', ''],
    ['SELECT 1 FORMAT JSON SETTINGS a = 1, b = 2', 'SELECT 1', 'JSON', 'a = 1, b = 2'],
    ["SELECT ' FORMAT JSON'", "SELECT ' FORMAT JSON'", null, ''],
    ['SELECT format FROM t', 'SELECT format FROM t', null, ''],
    ['SELECT * FROM (SELECT 1 FORMAT JSON)', 'SELECT * FROM (SELECT 1 FORMAT JSON)', null, ''],
    ['SELECT 1 /* ; */ # end', 'SELECT 1', null, ''],
    ['SELECT $a$ FORMAT X; $a$', 'SELECT $a$ FORMAT X; $a$', null, ''],
  ])('%s', (sql, text, format, settings) => {
    const statement = read(sql)
    expect([statement.sql, statement.format, statement.settings]).toEqual([text, format, settings])
  })

  it('finds substitutions and settings outside strings only', () => {
    const statement = read("SELECT {a:UInt8}, '{b:String}', {c : Map(String, UInt8)} SETTINGS x = 1, y = 'z'")
    expect([...statement.params]).toEqual(['a', 'c'])
    expect([...statement.ownSettings]).toEqual(['x', 'y'])
  })

  it.each([
    ['SELECT 1; SELECT 2', 62],
    ['', 62],
    ['-- nothing', 62],
    ["SELECT 'open", 62],
    ['SELECT /* open', 62],
    ["SELECT 1 INTO OUTFILE 'x'", 48],
    ["INSERT INTO t FROM INFILE 'x' FORMAT CSV", 48],
    ['INSERT INTO t (a', 62],
    ['INSERT INTO t', 62],
  ])('refuses %s with %i', (sql, code) => {
    expect(() => parseStatement(sql)).toThrow(expect.objectContaining({ code }))
  })
})

describe('inserts', () => {
  it.each([
    ['INSERT INTO t VALUES (1)', 'INSERT INTO t', 'Values', ' (1)', ''],
    ['INSERT INTO `a b`.t (x, `y)`) FORMAT CSV\n1,2', 'INSERT INTO `a b`.t (x, `y)`)', 'CSV', '1,2', ''],
    ['insert into values (a) values (2)', 'insert into values (a)', 'Values', ' (2)', ''],
    ["INSERT INTO t SETTINGS a = 1, b = 'x' FORMAT TSV\n\n", 'INSERT INTO t', 'TSV', '\n', "a = 1, b = 'x'"],
    [
      'INSERT INTO t FORMAT JSONEachRow {"a": "it\'s; --"}',
      'INSERT INTO t',
      'JSONEachRow',
      '{"a": "it\'s; --"}',
      '',
    ],
  ])('%s', (sql, head, format, data, settings) => {
    const statement = insert(sql)
    expect([statement.head, statement.format, sql.slice(statement.dataAt), statement.settings]).toEqual([
      head,
      format,
      data,
      settings,
    ])
  })

  it('keeps the query of INSERT … SELECT apart', () => {
    const statement = insert('INSERT INTO t (a) SELECT {x:UInt8} FROM u SETTINGS m = 1')
    expect(statement).toMatchObject({
      head: 'INSERT INTO t (a)',
      format: null,
      select: 'SELECT {x:UInt8} FROM u SETTINGS m = 1',
    })
    expect([...statement.params]).toEqual(['x'])
    expect(insert('INSERT INTO t (WITH 1 AS a SELECT a)')).toMatchObject({
      head: 'INSERT INTO t',
      format: null,
    })
  })
})

it('quotes and unquotes', () => {
  for (const text of ["it's", 'a\\b', '', 'ü\n']) {
    expect(tokensOf(quote(text))).toHaveLength(1)
    expect(unquote(quote(text))).toBe(text)
  }
  expect(unquote('`a``b`')).toBe('a`b')
})
