/**
 * Clouds: thin clients of other people's clouds. They speak a cloud's protocol and hand back plain facts; they
 * know nothing of our images. Here stands what they share: how one proves who one is to an OpenStack cloud, and
 * what its Keystone tells. `keystone.ts` is the client, `os-config.ts` reads what people have configured.
 */

/** A thing that OpenStack knows by id, or by a name. */
export interface Named {
  readonly id?: string
  readonly name?: string
}

/** A user or project: its name means something only within its domain. */
export interface InDomain extends Named {
  readonly domain?: Named
}

/** How one proves who one is. */
export type CloudCredentials =
  | { readonly method: 'password'; readonly user: InDomain; readonly password: string }
  | {
      readonly method: 'application_credential'
      /** By id; or by name, then with its user. */
      readonly credential: Named & { readonly user?: InDomain }
      readonly secret: string
    }
  | { readonly method: 'token'; readonly token: string }

/** What a token shall be good for. An application credential brings its own. */
export type Scope =
  | { readonly project: InDomain }
  | { readonly domain: Named }
  | { readonly system: true }

export type CloudInterface = 'public' | 'internal' | 'admin'

/** Whose certificates are believed. */
export interface Trust {
  /** PEM text of authorities, beside those that Node knows. */
  readonly authorities?: string
  /** Believe any certificate. */
  readonly insecure?: boolean
}

/** How to reach one Keystone, and as whom. */
export interface KeystoneOptions {
  /** `https://keystone.example:5000/v3`; the `/v3` may be left out. */
  readonly authUrl: string
  readonly credentials: CloudCredentials
  readonly scope?: Scope | undefined
  /** Which endpoints of the catalogue are meant. Default: any region, public. */
  readonly region?: string | undefined
  readonly interface?: CloudInterface | undefined
  readonly trust?: Trust | undefined
  /** How long it may be silent. Default 10 s. */
  readonly timeoutMs?: number | undefined
  /** How often it is asked again when it is away. Default 3, */
  readonly retries?: number | undefined
  /** after this long, then twice that, and so on. Default 250 ms. */
  readonly retryDelayMs?: number | undefined
}

/** What a valid token says. */
export interface TokenFacts {
  readonly user: Required<Named> & { readonly domain: Required<Named> }
  /** One of these three, or none if it is not scoped. */
  readonly project?: Required<Named> & { readonly domain: Required<Named> }
  readonly domain?: Required<Named>
  readonly isSystemScoped: boolean
  /** As Keystone spells them. */
  readonly roles: readonly string[]
  readonly issuedAt: Date
  readonly expiresAt: Date
}

/** A service of the catalogue, and where it answers. */
export interface CloudService {
  readonly id: string
  readonly type: string
  readonly name: string
  readonly endpoints: readonly {
    readonly interface: string
    readonly region: string
    readonly url: string
  }[]
}

/** Which endpoint of a service. */
export interface EndpointWish {
  /** `image`, `object-store`; older names of a type are found too. */
  readonly service: string
  readonly interface?: CloudInterface | undefined
  readonly region?: string | undefined
}

/** A limit that Keystone keeps. */
export interface CloudLimit {
  readonly resource: string
  /** -1: no limit. */
  readonly limit: number
  readonly serviceId: string
  readonly region: string | null
  /** Left out: the default for every project. */
  readonly projectId?: string
}

/**
 * Keystone v3, as one user. A token is got when it is first needed, kept, and renewed in time. Everything fails
 * with KEYSTONE_AWAY when it cannot be reached after some tries, with KEYSTONE_DENIED when it refuses this user,
 * and with INTERRUPTED.
 */
export interface Keystone extends AsyncDisposable {
  /** A token that is good for some time still. */
  token(): Promise<string>
  /** Somebody refused this token: the next `token()` is another. */
  forgetToken(token: string): void
  /** What the own token says. */
  facts(): Promise<TokenFacts>
  catalogue(): Promise<readonly CloudService[]>
  /** An address without a slash at its end. Fails with ENDPOINT_UNKNOWN. */
  endpoint(wish: EndpointWish): Promise<string>
  /**
   * What somebody else's token says; undefined: it is not valid (any more). With `allowExpired` one that
   * ended not long ago still is: for work that a service goes on with for somebody.
   */
  validateToken(
    token: string,
    options?: { readonly allowExpired?: boolean },
  ): Promise<TokenFacts | undefined>
  /**
   * The limits of a project for the resources of one service: its own, else the default ones, by resource. A
   * resource that is missing or -1 is not limited. Reading limits needs a role that may (system reader).
   * Fails with ENDPOINT_UNKNOWN.
   */
  limits(wish: {
    readonly service: string
    readonly projectId: string
    readonly region?: string | undefined
  }): Promise<ReadonlyMap<string, number>>
  /** The limits as Keystone keeps them: those of a project, or the default ones of a service. */
  listLimits(of: {
    readonly serviceId: string
    readonly projectId?: string | undefined
    readonly resource?: string | undefined
    readonly region?: string | undefined
  }): Promise<readonly CloudLimit[]>
}
