import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isFailure } from '../base/failure.ts'
import { runProcess, runTool } from '../base/process.ts'
import { MiB } from '../base/units.ts'
import type { GuestConnection } from './boot-report.ts'

/** A key for one guest, for as long as `directory` is there. */
export interface OneTimeKey {
  keyFile: string
  /** As in authorized_keys. */
  publicKey: string
}

/** Fails with TOOL_MISSING, COMMAND_FAILED. */
export async function makeOneTimeKey(directory: string): Promise<OneTimeKey> {
  const keyFile = join(directory, 'key')
  const kind = ['-t', 'ed25519', '-N', '', '-C', 'ingot-boot-test']
  await runTool(['ssh-keygen', '-q', ...kind, '-f', keyFile], { timeoutMs: 20_000 })
  return { keyFile, publicKey: (await readFile(`${keyFile}.pub`, 'utf8')).trim() }
}

/** What came of an attempt to log in. */
export type Login =
  | { outcome: 'logged-in'; stdout: string }
  /** Nobody answered; or sshd answered and did not take the key. `said` is ssh's last line. */
  | { outcome: 'no-answer' | 'refused'; said: string }

/**
 * Runs a shell script in the guest by the system's OpenSSH client, without this user's own
 * configuration, keys and agent. What is printed is kept up to 1 MiB.
 * Fails with INTERRUPTED, TOOL_MISSING.
 */
export async function runInGuest(
  connection: GuestConnection,
  script: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Login> {
  const { launcher = [], host } = connection
  const argv = [...launcher, 'ssh', ...sshOptions(connection), '--', host, 'exec sh -s']
  try {
    const options = { input: script, timeoutMs, signal, maxOutput: MiB }
    const { code, stdout, stderr } = await runProcess(argv, options)
    if (code !== SSH_FAILED) return { outcome: 'logged-in', stdout: stdout.toString() }
    const said = stderr.toString().trim().split('\n').at(-1) ?? ''
    const refused = /Permission denied|Too many authentication|Host key verification/.test(said)
    return { outcome: refused ? 'refused' : 'no-answer', said: said.slice(0, 300) }
  } catch (error) {
    if (!isFailure(error, 'COMMAND_TIMEOUT')) throw error
    return { outcome: 'no-answer', said: `no answer within ${timeoutMs / 1000} s` }
  }
}

const SSH_FAILED = 255

function sshOptions({ port, user, keyFile, knownHosts }: GuestConnection): string[] {
  const settings = {
    BatchMode: 'yes',
    IdentityAgent: 'none',
    IdentitiesOnly: 'yes',
    PreferredAuthentications: 'publickey',
    // The port is QEMU's own, on this host: whoever answers first is the guest.
    StrictHostKeyChecking: 'accept-new',
    UserKnownHostsFile: knownHosts,
    GlobalKnownHostsFile: '/dev/null',
    ConnectTimeout: '30',
    LogLevel: 'ERROR',
  }
  return [
    ['-F', 'none', '-T'],
    ['-p', String(port), '-l', user, '-i', keyFile],
    ...Object.entries(settings).map(([name, value]) => ['-o', `${name}=${value}`]),
  ].flat()
}
