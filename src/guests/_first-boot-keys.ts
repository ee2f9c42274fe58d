/**
 * Keys that a package makes when it is installed, and that each machine must have for itself. They
 * are taken out of an image, and something in the image makes new ones when it boots first; without
 * that, the service behind them would not start.
 */
import type { Remote } from '../remotes/remote.ts'
import { expandPath, type Leftover } from './_find-leftovers.ts'

export interface FirstBootKeys {
  /** Paths of the keys, with `*`. */
  keys: readonly string[]
  /** A program that is there when the guest needs such keys. */
  program: string
  /** Whether something else makes them, only if Ingot did not. */
  hasOtherMaker(remote: Remote): Promise<boolean>
  unit: { name: string; content: string }
  /** What they are called in findings. */
  what: string
}

const UNITS = '/etc/systemd/system'

/** The keys that are there, and a guest that needs keys but would never make any. */
export async function findFirstBootKeys(remote: Remote, kind: FirstBootKeys): Promise<Leftover[]> {
  const keys: string[] = []
  for (const pattern of kind.keys) keys.push(...(await expandPath(remote, pattern)))
  const unitPath = `${UNITS}/${kind.unit.name}`
  const isNeeded = await remote.exists(kind.program)
  const isMade = !isNeeded || (await remote.exists(unitPath)) || (await kind.hasOtherMaker(remote))
  const canMake = await hasSystemd(remote)
  const makeUnit = async () => {
    await remote.writeFile(unitPath, kind.unit.content)
    await remote.makeDirectory(`${UNITS}/multi-user.target.wants`)
    await remote.makeLink(`${UNITS}/multi-user.target.wants/${kind.unit.name}`, unitPath)
  }
  const maker: Leftover = {
    path: unitPath,
    what: `nothing makes ${kind.what}s when the image boots first`,
    ...(canMake && { undo: makeUnit }),
  }
  if (isMade) return keys.map((path) => ({ path, what: kind.what, undo: 'remove' }))
  // Without systemd they are better left and told of than taken from a service that then fails.
  return [
    maker,
    ...keys.map((path): Leftover => ({
      path,
      what: kind.what,
      ...(canMake && { undo: 'remove' as const }),
    })),
  ]
}

async function hasSystemd(remote: Remote): Promise<boolean> {
  return (
    (await remote.exists('/usr/lib/systemd/systemd')) ||
    (await remote.exists('/lib/systemd/systemd'))
  )
}

const unitDirectories = [UNITS, '/usr/lib/systemd/system', '/lib/systemd/system']

/** Host keys of OpenSSH. Debian makes them only when the package is installed. */
export const sshHostKeys: FirstBootKeys = {
  what: 'SSH host key',
  keys: ['/etc/ssh/ssh_host_*_key', '/etc/ssh/ssh_host_*_key.pub'],
  program: '/usr/sbin/sshd',
  hasOtherMaker: async (remote) => {
    for (const directory of unitDirectories)
      if (
        (await remote.list(directory))?.some((name) =>
          /^sshd?-?(host)?-?key.*\.service$/.test(name),
        )
      )
        return true
    return (await remote.readText('/etc/init.d/sshd'))?.includes('ssh-keygen') ?? false
  },
  unit: {
    name: 'ingot-ssh-host-keys.service',
    content: `# Host keys are not part of the image, so that no two machines share them.
[Unit]
Description=Make the SSH host keys of this machine
Documentation=man:ssh-keygen(1)
After=cloud-init.service
Before=ssh.service sshd.service ssh.socket sshd.socket
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
`,
  },
}

/** The self-signed certificate of Debian's ssl-cert, which many services take by default. */
export const snakeoilCertificate: FirstBootKeys = {
  what: 'self-signed certificate',
  keys: ['/etc/ssl/private/ssl-cert-snakeoil.key', '/etc/ssl/certs/ssl-cert-snakeoil.pem'],
  program: '/usr/sbin/make-ssl-cert',
  hasOtherMaker: () => Promise.resolve(false),
  unit: {
    name: 'ingot-snakeoil-certificate.service',
    content: `# The key is not part of the image, so that no two machines share it.
[Unit]
Description=Make the self-signed certificate of this machine
Documentation=man:make-ssl-cert(8)
After=cloud-init.service
Before=nginx.service apache2.service postfix.service postgresql.service dovecot.service
ConditionPathExists=!/etc/ssl/private/ssl-cert-snakeoil.key

[Service]
Type=oneshot
ExecStart=/usr/sbin/make-ssl-cert generate-default-snakeoil

[Install]
WantedBy=multi-user.target
`,
  },
}
