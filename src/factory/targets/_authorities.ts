import { readFile } from 'node:fs/promises'
import { asFileFailure, Failure } from '../../base/failure.ts'
import type { Provider } from '../cloud-target.ts'

/**
 * The authorities that a provider has believed beside the known ones, as PEM text: `cacert` is that text, or the path of a
 * file with it. Files of this host are for providers of the configuration only. Fails with CONFIG_INVALID, FILE_NOT_FOUND,
 * FILE_UNREADABLE.
 */
export async function readAuthorities({
  name,
  options: { cacert },
  isConfigured,
}: Provider<{ readonly cacert?: string | undefined }>): Promise<string | undefined> {
  if (cacert === undefined || cacert.trimStart().startsWith('-----BEGIN ')) return cacert
  if (isConfigured !== true)
    throw new Failure(
      'CONFIG_INVALID',
      `${name}: only a provider of the configuration may name a file of this host as cacert`,
      { fix: 'Give the certificates themselves, as PEM text.' },
    )
  try {
    return await readFile(cacert, 'utf8')
  } catch (error) {
    throw asFileFailure(error, cacert)
  }
}
