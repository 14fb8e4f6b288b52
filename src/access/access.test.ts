import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { AppError } from '../lib/errors.ts'
import { silentLogger } from '../lib/log.ts'
import { system } from '../model/actor.ts'
import { accessSchema, createAccess } from './access.ts'
import { checkHost, checkOrigin, isLoopback } from './hosts.ts'
import { mayAs } from './roles.ts'

const access = (config: object) =>
  createAccess({ config: accessSchema({}).parse(config), log: silentLogger(), metrics: fakeMetrics() })
const secret = 'a-token-of-enough-length'
const from = (more: object = {}) => ({
  authorization: undefined,
  remoteAddress: '10.0.0.7',
  host: '127.0.0.1:9900',
  origin: undefined,
  ...more,
})
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('who it is', () => {
  const hash = createHash('sha256').update('another-token-of-length').digest('hex')
  const a = access({
    tokens: [
      { name: 'ci', token: secret, roles: ['operator'] },
      { name: 'grafana', sha256: hash, roles: ['viewer'] },
    ],
  })
  test('a token has an actor, given plainly or as a hash', () => {
    expect(a.authenticate(from(bearer(secret)))).toEqual({ id: 'token:ci', kind: 'token' })
    expect(a.authenticate(from(bearer('another-token-of-length')))).toEqual({
      id: 'token:grafana',
      kind: 'token',
    })
    expect(a.authenticate(from({ authorization: `bearer ${secret}` }))).toMatchObject({ id: 'token:ci' })
  })
  test.each([
    [{}, 'unauthorized', /bearer token is needed/],
    [bearer('wrong-token-wrong-token'), 'unauthorized', /not known here/],
    [bearer(hash), 'unauthorized', /not known/],
    [{ authorization: 'Basic dTpw' }, 'unauthorized', /form Bearer/],
    [{ authorization: 'Bearer ' }, 'unauthorized', /form Bearer/],
    [
      { ...bearer(secret), host: 'evil.example' },
      'forbidden',
      /evil.example is not known here; add it to access.hosts/,
    ],
    [{ ...bearer(secret), host: undefined }, 'forbidden', /no Host/],
    [{ ...bearer(secret), origin: 'http://evil.example' }, 'forbidden', /may not call/],
  ])('%j is refused', (more, code, why) => {
    const error = a.authenticate(from(more))
    expect(error).toBeInstanceOf(AppError)
    expect(error).toMatchObject({ code, message: expect.stringMatching(why) })
  })
  test('this machine needs no token, until it is told to; a wrong token is wrong here too', () => {
    const here = { remoteAddress: '::ffff:127.0.0.1' }
    expect(a.authenticate(from(here))).toEqual({ id: 'anonymous:loopback', kind: 'anonymous' })
    expect(a.open).toBe(true)
    expect(a.authenticate(from({ ...here, ...bearer('wrong-token-wrong-token') }))).toMatchObject({
      code: 'unauthorized',
    })
    const closed = access({ anonymous_loopback: false })
    expect(closed.authenticate(from(here))).toMatchObject({ code: 'unauthorized' })
    expect(closed.may({ id: 'anonymous:loopback', kind: 'anonymous' }, 'read', 'alerts')).toMatch(/no role/)
  })
  test('what a proxy on this machine passes on is not from this machine', () => {
    const open = access({ hosts: ['ops.example.com'] })
    const here = { remoteAddress: '127.0.0.1' }
    expect(open.authenticate(from(here))).toMatchObject({ id: 'anonymous:loopback' })
    expect(open.authenticate(from({ ...here, host: 'ops.example.com' }))).toMatchObject({
      code: 'unauthorized',
    })
    expect(open.authenticate(from({ ...here, forwarded: true }))).toMatchObject({ code: 'unauthorized' })
    expect(open.authenticate(from({ ...here, forwarded: true, ...bearer(secret) }))).toMatchObject({
      code: 'unauthorized',
    })
  })
  test('a token in a file is picked up when it is rotated', () => {
    const dir = mkdtempSync(join(tmpdir(), 'airboss-access-'))
    const file = join(dir, 'token')
    writeFileSync(file, `${secret}\n`)
    const b = access({ tokens: [{ name: 'ci', token: { file }, roles: ['viewer'] }] })
    expect(b.authenticate(from(bearer(secret)))).toMatchObject({ id: 'token:ci' })
    writeFileSync(file, 'a-new-token-of-enough-length')
    expect(b.authenticate(from(bearer(secret)))).toMatchObject({ code: 'unauthorized' })
    expect(b.authenticate(from(bearer('a-new-token-of-enough-length')))).toMatchObject({ id: 'token:ci' })
    rmSync(dir, { recursive: true })
    expect(b.authenticate(from(bearer(secret)))).toMatchObject({ code: 'unauthorized' })
  })
  test('mistakes in the configuration are named, and no token is printed', () => {
    expect(() => access({ tokens: [{ name: 'a', token: 'short', roles: ['viewer'] }] })).toThrow(
      /fewer than 16/,
    )
    const wrong = (c: object): string => JSON.stringify(accessSchema({}).safeParse(c).error?.issues)
    expect(wrong({ tokens: [{ name: 'a', roles: ['viewer'] }] })).toMatch(/either token or sha256/)
    expect(wrong({ tokens: [{ name: 'a', token: secret, roles: ['root'] }] })).toMatch(/viewer/)
    const twice = { name: 'a', token: secret, roles: ['viewer'] }
    expect(wrong({ tokens: [twice, twice] })).toMatch(/used twice/)
    expect(JSON.stringify(accessSchema({}).parse({ tokens: [twice] }))).not.toContain(secret)
  })
})

test('what roles may', () => {
  const a = access({ tokens: [{ name: 'eye', token: secret, roles: ['viewer'] }] })
  const eye = { id: 'token:eye', kind: 'token' } as const
  expect(a.may(eye, 'read', 'alerts')).toBeNull()
  expect(a.may(eye, 'act', 'actions')).toBe(
    'act on actions needs the role operator; this one has the role viewer',
  )
  expect(a.may({ id: 'token:gone', kind: 'token' }, 'read', 'alerts')).toMatch(/no role/)
  expect(a.may(system('rules'), 'write', 'ledger')).toBeNull()
  expect(mayAs(['operator'], 'write', 'silences')).toBeNull()
  expect(mayAs(['operator'], 'act', 'actions')).toBeNull()
  expect(mayAs(['operator'], 'write', 'access')).toMatch(/needs the role admin/)
  expect(mayAs(['operator'], 'read', 'access')).toBeNull()
  expect(mayAs(['viewer', 'admin'], 'write', 'access')).toBeNull()
})

test('hosts', () => {
  for (const host of [
    'localhost:9900',
    '127.0.0.1',
    '[::1]:80',
    'a.localhost',
    'LOCALHOST.',
    '10.1.2.3:9',
    'ops.example.com',
  ])
    expect(checkHost(host, ['*.example.com'])).toBeNull()
  for (const host of [
    'evil.com',
    'localhost.evil.com',
    'example.com.evil.com',
    'example.com',
    'a b',
    '',
    'x:1:2',
    '127.0.0.1.evil.com',
  ])
    expect(checkHost(host, ['*.example.com'])).not.toBeNull()
  expect(checkHost('anything.at.all', ['*'])).toBeNull()
})

test('origins', () => {
  expect(checkOrigin(undefined, 'localhost:9900')).toBeNull()
  expect(checkOrigin('http://localhost:9900', 'localhost:9900')).toBeNull()
  expect(checkOrigin('https://ops.example.com', 'ops.example.com:443')).toBeNull()
  for (const origin of ['http://localhost:9901', 'null', 'http://evil.com', 'file://'])
    expect(checkOrigin(origin, 'localhost:9900')).not.toBeNull()
})

test('loopback', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
    expect(isLoopback(address)).toBe(true)
  for (const address of ['10.0.0.1', '128.0.0.1', '::2', '', undefined, '1127.0.0.1', '::ffff:10.0.0.1'])
    expect(isLoopback(address)).toBe(false)
})
