import { access, constants } from 'node:fs/promises'
import { styleText } from 'node:util'
import { messageOf } from '../../base/failure.ts'
import { findProgram, runProcess } from '../../base/process.ts'
import type { Cli, CommandModule } from '../cli.ts'

/** One ability of this host. */
interface Finding {
  ability: string
  ok: boolean
  /** What was found, or what is missing. */
  detail: string
  /** The command that helps. */
  fix?: string
}

/** `ingot doctor`: what this host can do, what is missing, and the command that installs it. */
export const define: CommandModule['define'] = (command, _argv, openCli) => {
  command
    .addHelpText(
      'after',
      '\nExit code 0 if everything is there, 1 if something is missing; each part of Ingot works without the others.',
    )
    .action(async () => {
      const cli = openCli(command)
      const findings = await examine(cli)
      if (cli.json) cli.print(JSON.stringify(findings))
      else cli.print(findings.map((finding) => format(finding, cli.terminal)).join('\n'))
      cli.exit(findings.every(({ ok }) => ok) ? 0 : 1)
    })
}

async function examine(cli: Cli): Promise<Finding[]> {
  const [appliance, sandbox, namespaces, network, machines, firmware] = await Promise.all([
    examineAppliance(),
    examineSandbox(),
    examineNamespaces(),
    examineNetwork(cli),
    examineMachines(cli),
    examineFirmware(),
  ])
  return [
    {
      ability: 'check images by reading',
      ok: true,
      detail: 'raw and qcow2, ext2/3/4; needs nothing',
    },
    appliance,
    sandbox,
    examinePrograms('build images (bootstrap)', {
      mmdebstrap: 'mmdebstrap',
      mke2fs: 'e2fsprogs',
      'qemu-img': 'qemu-utils',
    }),
    namespaces,
    network,
    machines,
    firmware,
    examinePrograms('export images for containers', {
      tar2sqfs: 'squashfs-tools-ng',
      xz: 'xz-utils',
    }),
    examinePrograms('work on hosts (SSH)', { ssh: 'openssh-client' }),
    examinePrograms('put files into installation discs', { xorriso: 'xorriso' }),
    examinePrograms('push images to libvirt', { virsh: 'libvirt-clients' }),
  ]
}

async function examineAppliance(): Promise<Finding> {
  const ability = 'change any image safely (appliance)'
  const { checkAppliance } = await import('../../remotes/appliance.ts')
  const { available, version, missing } = await checkAppliance()
  return available
    ? { ability, ok: true, detail: `libguestfs ${version ?? ''}`.trim() }
    : {
        ability,
        ok: false,
        detail: missing ?? 'libguestfs is missing',
        fix: 'apt-get install --no-install-recommends libguestfs0 supermin qemu-system-x86 qemu-utils linux-image-cloud-amd64',
      }
}

async function examineSandbox(): Promise<Finding> {
  const ability = 'change trusted images fast (sandbox)'
  const missing = missingOf({
    bwrap: 'bubblewrap',
    unshare: 'util-linux',
    mount: 'mount',
    'qemu-storage-daemon': 'qemu-system-common',
  })
  if (missing.length > 0)
    return {
      ability,
      ok: false,
      detail: `missing: ${missing.map(([program]) => program).join(', ')}`,
      fix: installOf(missing),
    }
  if (process.getuid?.() !== 0)
    return {
      ability,
      ok: false,
      detail: 'needs root to mount images; building does not',
      fix: 'Run as root, or use --via appliance.',
    }
  for (const device of ['/dev/loop-control', '/dev/fuse'])
    if (!(await isUsable(device)))
      return {
        ability,
        ok: false,
        detail: `${device} cannot be opened`,
        fix: device === '/dev/fuse' ? 'modprobe fuse' : 'modprobe loop',
      }
  return { ability, ok: true, detail: 'bubblewrap, loop devices, FUSE for qcow2' }
}

async function examineNamespaces(): Promise<Finding> {
  const ability = 'build without root (user namespaces)'
  if (process.getuid?.() === 0) return { ability, ok: true, detail: 'not needed: this is root' }
  const result = await runProcess(
    ['unshare', '--user', '--map-root-user', '--map-auto', '--mount', 'true'],
    { timeoutMs: 10_000 },
  ).catch((error: unknown) => ({ code: 1, stderr: Buffer.from(messageOf(error)) }))
  if (result.code === 0)
    return { ability, ok: true, detail: 'user namespaces with a range of users' }
  return {
    ability,
    ok: false,
    detail: result.stderr.toString().trim().split('\n')[0] ?? 'refused',
    fix: 'apt-get install uidmap, and give the user a range in /etc/subuid and /etc/subgid (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER)',
  }
}

/** Guests work without it, and then reach what this host reaches. */
async function examineNetwork(cli: Cli): Promise<Finding> {
  const ability = 'keep guests from this host’s network'
  if (cli.configuration.config.guest_network === 'host')
    return { ability, ok: true, detail: 'not wanted: guest_network is host' }
  const { findFenceTrouble } = await import('../../remotes/fenced-uplink.ts')
  const trouble = await findFenceTrouble([], cli.context).catch(messageOf)
  if (trouble === undefined) return { ability, ok: true, detail: 'slirp4netns, network namespaces' }
  return {
    ability,
    ok: false,
    detail: trouble,
    fix: 'apt-get install --no-install-recommends slirp4netns iproute2, and let the user make namespaces and open /dev/net/tun',
  }
}

async function examineMachines(cli: Cli): Promise<Finding> {
  const ability = 'boot images (QEMU)'
  const { checkQemu } = await import('../../machines/qemu.ts')
  const { probeAccelerator } = await import('../../machines/accelerator.ts')
  try {
    const { version } = await checkQemu()
    const { kind, reason } = await probeAccelerator(
      { cacheDir: cli.configuration.config.cache_dir },
      cli.context,
    )
    return {
      ability,
      ok: true,
      detail: `QEMU ${version}, ${kind === 'kvm' ? 'KVM' : `emulated (${reason})`}`,
    }
  } catch (error) {
    return {
      ability,
      ok: false,
      detail: messageOf(error),
      fix: 'apt-get install --no-install-recommends qemu-system-x86 qemu-utils openssh-client',
    }
  }
}

async function examineFirmware(): Promise<Finding> {
  const ability = 'boot images by UEFI'
  const { findFirmware } = await import('../../machines/firmware.ts')
  const firmware = await findFirmware()
  return firmware
    ? { ability, ok: true, detail: firmware.description }
    : { ability, ok: false, detail: 'no UEFI firmware for QEMU', fix: 'apt-get install ovmf' }
}

function examinePrograms(ability: string, packages: Readonly<Record<string, string>>): Finding {
  const missing = missingOf(packages)
  if (missing.length === 0) return { ability, ok: true, detail: Object.keys(packages).join(', ') }
  return {
    ability,
    ok: false,
    detail: `missing: ${missing.map(([program]) => program).join(', ')}`,
    fix: installOf(missing),
  }
}

function missingOf(packages: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(packages).filter(([program]) => findProgram(program) === undefined)
}

function installOf(missing: readonly [string, string][]): string {
  return `apt-get install --no-install-recommends ${[...new Set(missing.map(([, name]) => name))].join(' ')}`
}

async function isUsable(device: string): Promise<boolean> {
  return await access(device, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  )
}

function format({ ability, ok, detail, fix }: Finding, colours: boolean): string {
  const mark = ok ? '✓' : '✗'
  const painted = colours ? styleText(ok ? 'green' : 'red', mark) : mark
  return `${painted} ${ability.padEnd(38)} ${detail}${!ok && fix !== undefined ? `\n    → ${fix}` : ''}`
}
