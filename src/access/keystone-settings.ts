/** How the configuration names a Keystone, and what a client of it wants. */
import { Failure } from '../base/failure.ts'
import type { KeystoneOptions, Scope } from '../clouds/cloud.ts'

/** As in the configuration, under `auth.keystone`. */
export interface KeystoneSettings {
  readonly auth_url: string
  readonly username: string
  readonly password: string
  readonly project_name?: string | undefined
  readonly user_domain_name?: string | undefined
  readonly project_domain_name?: string | undefined
  readonly www_authenticate_uri?: string | undefined
  readonly region?: string | undefined
  /** Seconds. */
  readonly cache_s?: number | undefined
  readonly service_token_roles?: readonly string[] | undefined
  readonly limits?: boolean | undefined
}

export function demandKeystone(settings: KeystoneSettings | undefined): KeystoneSettings {
  if (settings !== undefined) return settings
  throw new Failure('CONFIG_INVALID', 'auth.mode is keystone, and auth.keystone is missing')
}

/** The service's own user, in its project or in the whole system. Callers wait: it is given up sooner than by default. */
export function toKeystoneOptions(
  settings: KeystoneSettings,
  scope: 'project' | 'system',
): KeystoneOptions {
  const { auth_url: authUrl, username, password, region } = settings
  const { user_domain_name: userDomain = 'Default', project_name: project = 'service' } = settings
  const { project_domain_name: projectDomain = 'Default' } = settings
  return {
    authUrl,
    credentials: {
      method: 'password',
      user: { name: username, domain: { name: userDomain } },
      password,
    },
    scope: scopeOf(scope, project, projectDomain),
    region,
    timeoutMs: 5000,
    retries: 2,
  }
}

function scopeOf(scope: 'project' | 'system', name: string, domain: string): Scope {
  return scope === 'system' ? { system: true } : { project: { name, domain: { name: domain } } }
}
