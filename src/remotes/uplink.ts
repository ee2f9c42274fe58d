/**
 * Uplinks: how programs of a guest get to the network. Whoever starts a sandbox, an appliance or a machine is handed what
 * opens one, and puts its words in front of the process whose network the guest's programs use. What may be reached
 * through it is decided by who made it (`fenced-uplink.ts`); nothing here knows of recipes or guests.
 */
import type { Context } from '../base/context.ts'

export interface Uplink extends AsyncDisposable {
  /**
   * Put in front of a command that is to use it; it has the names and files of this host, and the same process id as without.
   * Valid until the uplink is closed.
   */
  readonly launcher: readonly string[]
}

/**
 * Opens an uplink for one guest. `userNamespace`: the words (`user-namespace.ts`) that would stand in front of the command; the
 * launcher stands for them too.
 * Fails with GUEST_NETWORK_FAILED, INTERRUPTED.
 */
export type OpenUplink = (userNamespace: readonly string[], context: Context) => Promise<Uplink>

/** The network of this host: whatever it reaches, its own services too. */
export const hostUplink: OpenUplink = async (userNamespace) => ({
  launcher: userNamespace,
  [Symbol.asyncDispose]: async () => {},
})
