import type { Authenticator, Caller } from '../caller.ts'

/** To whom everything belongs when nobody is told apart. */
const LOCAL_PROJECT = 'local'

/** Whoever can reach the server is the administrator of one project. For loopback, and for the embedded command. */
export function openNoAuthenticator(): Authenticator {
  return {
    mode: 'none',
    challenge: 'None',
    authenticate: ({ requestId }) => localCaller(requestId),
    [Symbol.asyncDispose]: async () => {},
  }
}

const ROLES = ['admin', 'manager', 'member', 'reader'] as const
const NO_ROLES: readonly string[] = []

/** The one who works on this machine. */
function localCaller(requestId: string): Caller {
  return {
    userId: 'local',
    projectId: LOCAL_PROJECT,
    roles: ROLES,
    serviceRoles: NO_ROLES,
    isAdmin: true,
    requestId,
  }
}
