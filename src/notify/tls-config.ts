// Alertmanager's `tls_config`: whom a channel trusts, and the certificate it shows.
import { z } from 'zod'
import { fileSecret } from '../lib/config.ts'
import type { TlsOptions, TlsVersion } from '../lib/http.ts'
import type { ChannelContext } from '../model/ports/channel.ts'

const versions: Readonly<Record<string, TlsVersion>> = {
  TLS10: 'TLSv1',
  TLS11: 'TLSv1.1',
  TLS12: 'TLSv1.2',
  TLS13: 'TLSv1.3',
}
const version = z.enum(['TLS10', 'TLS11', 'TLS12', 'TLS13']).transform((name) => versions[name]!)

/** Gives a function that reads the files anew each time, so that rotated certificates are picked up. */
export const tlsConfigSchema = (context: ChannelContext) =>
  z
    .strictObject({
      ca: z.string().optional(),
      ca_file: z.string().optional(),
      cert: z.string().optional(),
      cert_file: z.string().optional(),
      key: context.secret.optional(),
      key_file: z.string().optional(),
      server_name: z.string().optional(),
      insecure_skip_verify: z.boolean().default(false),
      min_version: version.optional(),
      max_version: version.optional(),
    })
    .refine((t) => t.ca === undefined || t.ca_file === undefined, 'give ca or ca_file, not both')
    .refine((t) => t.cert === undefined || t.cert_file === undefined, 'give cert or cert_file, not both')
    .refine((t) => t.key === undefined || t.key_file === undefined, 'give key or key_file, not both')
    .refine(
      (t) => (t.cert ?? t.cert_file) === undefined || (t.key ?? t.key_file) !== undefined,
      'a certificate needs its key: give key or key_file too',
    )
    .refine(
      (t) => (t.key ?? t.key_file) === undefined || (t.cert ?? t.cert_file) !== undefined,
      'a key needs its certificate: give cert or cert_file too',
    )
    .transform((t) => (): TlsOptions => {
      const text = (inline: string | undefined, file: string | undefined): string | undefined =>
        inline ?? (file === undefined ? undefined : fileSecret(context.path(file)).reveal())
      const ca = text(t.ca, t.ca_file)
      const cert = text(t.cert, t.cert_file)
      const key = text(t.key?.reveal(), t.key_file)
      return {
        ...(ca === undefined ? {} : { ca }),
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key }),
        ...(t.server_name === undefined ? {} : { serverName: t.server_name }),
        ...(t.min_version === undefined ? {} : { minVersion: t.min_version }),
        ...(t.max_version === undefined ? {} : { maxVersion: t.max_version }),
        verify: !t.insecure_skip_verify,
      }
    })
