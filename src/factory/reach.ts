/** What this host reads for those who order builds, whose templates and parameters name addresses; and their guests reach. */
import { anyWeb } from '../bytes/public-web.ts'
import type { WebRules } from '../bytes/web-request.ts'
import { hostUplink, type OpenUplink } from '../remotes/uplink.ts'

export interface Reach {
  /** Where it asks for what they name. */
  readonly web: WebRules
  /** Whether they may name files of this host, by `file:` addresses. */
  readonly files: boolean
  /** How guests get to the network. */
  readonly uplink: OpenUplink
}

/** Of whoever owns the host, who could read all that themselves. */
export const OWNERS_REACH: Reach = { web: anyWeb, files: true, uplink: hostUplink }
