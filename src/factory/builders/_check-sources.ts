import { posix } from 'node:path'
import { Failure } from '../../base/failure.ts'
import { checkReach } from '../../bytes/web-request.ts'
import type { BaseKey } from '../../recipes/base-schema.ts'
import type { Reach } from '../reach.ts'

/** Where hosts keep the keys of archives, which are no secret. Source: sources.list(5), Signed-By. */
const KEYRINGS = ['/usr/share/keyrings/', '/etc/apt/keyrings/', '/etc/apt/trusted.gpg.d/']

/**
 * That archives and keys which a template names are within its reach: apt reads them for it, as this host. Those of this
 * host's own configuration are not asked about. Fails with DOWNLOAD_FAILED, BUILD_FAILED.
 */
export async function checkSources(
  { mirror, security_mirror: securityMirror, keyring }: Partial<BaseKey> = {},
  { web, files }: Pick<Reach, 'web' | 'files'>,
): Promise<void> {
  if (files) return
  for (const address of [mirror, securityMirror]) {
    if (address === undefined || address === 'none') continue
    const url = new URL(address)
    if (!/^https?:$/.test(url.protocol))
      throw new Failure('DOWNLOAD_FAILED', `${address}: wanted a mirror at https:// or http://`)
    await checkReach(url, web)
  }
  const isPublic = KEYRINGS.some((place) => posix.normalize(keyring ?? place).startsWith(place))
  if (!isPublic)
    throw new Failure('BUILD_FAILED', `the key ring ${keyring} is not read for templates`, {
      fix: `Put it on the server, in ${KEYRINGS.join(' or ')}.`,
    })
}
