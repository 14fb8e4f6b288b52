// X.509 certificates made on the spot with Node's own crypto: an authority, and what it signs for loopback.
import { createPrivateKey, createSign, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'

export interface Certificate {
  /** PEM. */
  readonly cert: string
  readonly key: string
}

const der = (tag: number, ...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  const length =
    body.length < 128
      ? Buffer.from([body.length])
      : body.length < 256
        ? Buffer.from([0x81, body.length])
        : Buffer.from([0x82, body.length >> 8, body.length & 255])
  return Buffer.concat([Buffer.from([tag]), length, body])
}
const sequence = (...parts: Buffer[]): Buffer => der(0x30, ...parts)
const integer = (bytes: Buffer): Buffer => der(0x02, bytes)
const oid = (...bytes: number[]): Buffer => der(0x06, Buffer.from(bytes))
const utf8 = (text: string): Buffer => der(0x0c, Buffer.from(text))
const name = (common: string): Buffer => sequence(der(0x31, sequence(oid(0x55, 4, 3), utf8(common))))
const ecdsaSha256 = sequence(oid(0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2))
const always = sequence(der(0x18, Buffer.from('20200101000000Z')), der(0x18, Buffer.from('21200101000000Z')))

const extension = (id: Buffer, critical: boolean, value: Buffer): Buffer =>
  sequence(id, ...(critical ? [der(0x01, Buffer.from([255]))] : []), der(0x04, value))
const isAuthority = extension(oid(0x55, 29, 19), true, sequence(der(0x01, Buffer.from([255]))))
/** Loopback, and the name beside it. */
const hosts = (host: string): Buffer =>
  extension(
    oid(0x55, 29, 17),
    false,
    sequence(der(0x87, Buffer.from([127, 0, 0, 1])), der(0x82, Buffer.from(host))),
  )

const pem = (bytes: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${bytes
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')
    .trim()}\n-----END CERTIFICATE-----\n`

const signed = (
  subject: string,
  issuer: string,
  own: KeyObject,
  by: KeyObject,
  extensions: Buffer,
): string => {
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(8)])
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaSha256,
    name(issuer),
    always,
    name(subject),
    own.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(extensions)),
  )
  const signature = createSign('SHA256').update(body).sign(by)
  return pem(sequence(body, ecdsaSha256, der(0x03, Buffer.from([0]), signature)))
}

const keys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })
const keyPem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString()

/** An authority of its own, `common` its name. */
export const makeAuthority = (common = 'test authority'): Certificate => {
  const { publicKey, privateKey } = keys()
  return { cert: signed(common, common, publicKey, privateKey, isAuthority), key: keyPem(privateKey) }
}

/** A certificate for 127.0.0.1 and `host`, good for servers and clients. `authority` must have the name given to `makeAuthority`. */
export const certify = (authority: Certificate, host: string, issuer = 'test authority'): Certificate => {
  const { publicKey, privateKey } = keys()
  const by = createPrivateKey(authority.key)
  return { cert: signed(host, issuer, publicKey, by, hosts(host)), key: keyPem(privateKey) }
}
