/**
 * Access: who is asking (`authenticator.ts` and the three ways in `identity/`), what they may do (`policy.ts`:
 * one table of rules, in oslo.policy's language), which properties they may touch (`protections.ts`), and
 * how much they may have (`quotas.ts`). Asked at the door; rooms below do not know who calls.
 */

/** Who is asking. */
export interface Caller {
  readonly userId: string | null
  readonly projectId: string | null
  /** The domain that its token is for, when it is for a domain. */
  readonly domainId?: string | null
  readonly userDomainId?: string | null
  readonly projectDomainId?: string | null
  /** Lower case. Implied roles are there too (admin has member, member has reader) if the source says so. */
  readonly roles: readonly string[]
  /** Roles of a second, valid, service token. */
  readonly serviceRoles: readonly string[]
  /** Its token is for the whole system, not for a project. */
  readonly isSystemScoped?: boolean
  /** Rule `context_is_admin`. */
  readonly isAdmin: boolean
  readonly requestId: string
  /** The token it came with, for `glance-download`; never logged. */
  readonly token?: string
}

/** What a request gives to tell who asks. */
export interface Credentials {
  readonly token: string | undefined
  readonly serviceToken: string | undefined
  readonly requestId: string
}

export interface Authenticator extends AsyncDisposable {
  readonly mode: 'none' | 'token' | 'keystone'
  /** What 401 answers with in `WWW-Authenticate`. */
  readonly challenge: string
  /** At once when it is known; else it asks. Fails with UNAUTHENTICATED, KEYSTONE_AWAY. */
  authenticate(credentials: Credentials): Caller | Promise<Caller>
}

/** What a rule is asked about; names as in Glance's targets. */
export interface Target {
  /** Owner of the image, task or namespace. */
  readonly project_id?: string | null
  readonly owner?: string | null
  readonly visibility?: string
  /** The project that the image is shared with: the caller's, when he sees it for that reason. */
  readonly member_id?: string | null
  /** Further attributes, which are looked up where the target itself has none of the name. */
  readonly properties?: Readonly<Record<string, string>>
  readonly [attribute: string]: unknown
}

export interface Policy {
  /**
   * Whether the rule allows it. An unknown rule is a bug. Never does I/O. Rules that guard something are for
   * projects, as Glance enforces it: a token for a domain or the whole system passes none of them.
   */
  allows(rule: string, caller: Caller, target?: Target): boolean
  /** Every rule, as it is in force; for `ingot config show` and docs. */
  readonly rules: ReadonlyMap<string, string>
}
