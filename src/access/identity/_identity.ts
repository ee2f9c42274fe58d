import type { Caller, Credentials, Policy } from '../caller.ts'

/** What a token stands for. */
export type Identity = Pick<
  Caller,
  'userId' | 'projectId' | 'domainId' | 'roles' | 'isSystemScoped'
>

const NO_ROLES: readonly string[] = []

/** The caller of one request. */
export function asCaller(
  identity: Identity,
  serviceRoles: readonly string[] = NO_ROLES,
  { requestId, token }: Credentials,
  policy: Policy,
): Caller {
  const caller = {
    ...identity,
    serviceRoles,
    requestId,
    ...(token !== undefined && { token }),
  }
  return { ...caller, isAdmin: policy.allows('context_is_admin', { ...caller, isAdmin: false }) }
}
