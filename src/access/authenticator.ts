/** Who is asking: one of three ways to tell, as the configuration says. */
import type { Context } from '../base/context.ts'
import { Failure } from '../base/failure.ts'
import { openKeystone } from '../clouds/keystone.ts'
import type { Authenticator, Policy } from './caller.ts'
import { openKeystoneAuthenticator } from './identity/keystone.ts'
import { openNoAuthenticator } from './identity/none.ts'
import { openTokenAuthenticator } from './identity/token.ts'
import { demandKeystone, type KeystoneSettings, toKeystoneOptions } from './keystone-settings.ts'

/** As in the configuration, under `auth`. */
export interface AuthSettings {
  readonly mode: 'none' | 'token' | 'keystone'
  readonly tokens_file?: string | undefined
  readonly keystone?: KeystoneSettings | undefined
}

/**
 * Opens the way in. `policy` says who is an administrator (rule `context_is_admin`).
 * Fails with CONFIG_INVALID, FILE_NOT_FOUND.
 */
export async function openAuthenticator(
  settings: AuthSettings,
  policy: Policy,
  context: Pick<Context, 'now' | 'log' | 'signal'>,
): Promise<Authenticator> {
  switch (settings.mode) {
    case 'none':
      return openNoAuthenticator()
    case 'token': {
      const { tokens_file: file } = settings
      if (file === undefined)
        throw new Failure('CONFIG_INVALID', 'auth.mode is token, and auth.tokens_file is missing')
      return await openTokenAuthenticator(file, policy, context)
    }
    default: {
      const keystone = demandKeystone(settings.keystone)
      const { auth_url, www_authenticate_uri: authUri = auth_url, cache_s = 300 } = keystone
      const { service_token_roles: serviceRoles = ['service'] } = keystone
      const client = openKeystone(toKeystoneOptions(keystone, 'project'), context)
      const options = { authUri, cacheMs: cache_s * 1000, serviceRoles }
      return openKeystoneAuthenticator(client, options, policy, context)
    }
  }
}
