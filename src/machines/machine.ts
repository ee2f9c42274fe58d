/**
 * Machines: virtual machines on this host, for a look at how an image boots, and for installers.
 * `startMachine` makes one; it lives until it is disposed, ends by itself, or this process dies, and
 * leaves nothing behind in any of these cases. The image it boots (`disk`) is opened read-only and
 * never changed; only what it is told to write to (`target`, `variables`) keeps what it writes.
 */
import type { OpenUplink } from '../remotes/uplink.ts'
import type { Accelerator } from './accelerator.ts'
import type { UefiFirmware } from './firmware.ts'
import type { Qmp } from './qmp.ts'

/** The image to boot. Its format is said, never guessed: a guest can write any header it likes. */
export interface MachineDisk {
  path: string
  format: 'raw' | 'qcow2'
  /** Bytes by which the guest's disk is larger than the image, as when a cloud makes it so. */
  growBy?: number | undefined
}

/** How a disk is connected, and which network card there is: what the guest has drivers for. */
export const DISK_BUSES = ['virtio', 'scsi', 'sata', 'ide', 'sd'] as const
export type DiskBus = (typeof DISK_BUSES)[number]
export const NIC_MODELS = ['virtio', 'e1000e', 'e1000', 'rtl8139'] as const
export type NicModel = (typeof NIC_MODELS)[number]

/** A disk that takes what the guest writes, and keeps it. */
export interface TargetDisk {
  /** A raw image. */
  path: string
  bus: DiskBus
}

/** A kernel that is started without a boot loader. */
export interface DirectKernel {
  path: string
  initrd: string
  commandLine: string
}

/** Where a guest with a network card finds what `onRequest` answers: `http://10.0.2.100/…`. */
export const ANSWER_HOST = '10.0.2.100'

export interface MachineOptions {
  disk?: MachineDisk | undefined
  target?: TargetDisk | undefined
  kernel?: DirectKernel | undefined
  /** Paths of ISO images, read-only. The first one is booted from when no disk can be. */
  cdroms?: readonly string[] | undefined
  /** Path of an image of a floppy disk, read-only. */
  floppy?: string | undefined
  /** Default `virtio`. */
  nic?: NicModel | undefined
  /** Where the variables of the UEFI firmware are kept; made if it is not there. Left out: thrown away. */
  variables?: string | undefined
  /** The machine ends when the guest resets it. */
  endsOnReset?: boolean | undefined
  /**
   * Answers the guest's GET of a path of `http://10.0.2.100`; undefined: 404. It needs a network card and no
   * open port: the guest's connection ends in this process, and nobody else can ask.
   */
  onRequest?: ((path: string) => Uint8Array | undefined) | undefined
  /** Bytes of a second, read-only disk: a seed for cloud-init. */
  seed?: Uint8Array | undefined
  firmware: 'bios' | UefiFirmware
  accelerator: Pick<Accelerator, 'kind' | 'cpu'>
  /** Bytes. */
  memory: number
  cpus: number
  /**
   * `isolated`: the guest has a network card, DHCP and port 22 reachable from this host, and reaches
   * nobody. An uplink: it reaches what is reached through that. `none`: no card.
   */
  network: 'none' | 'isolated' | OpenUplink
  /** For the overlay and other files; few bytes unless the guest writes many. */
  tempDir: string
  /** What firmware and guest print on the serial port, as it comes. */
  onConsole?: ((chunk: Uint8Array) => void) | undefined
  /** The guest reset the machine. */
  onReset?: (() => void) | undefined
}

/** What a machine has done since it was started. */
export interface Activity {
  /** Bytes that the guest wrote to its target, and read from it. */
  readonly written: number
  readonly read: number
  /** Packets of the network card, modulo 2¹⁶; undefined: this card does not tell. */
  readonly packets: number | undefined
  /** Processor time of the emulator. */
  readonly cpuMs: number
}

export interface Machine extends AsyncDisposable {
  readonly qmp: Qmp
  /** Port on 127.0.0.1 that leads to the guest's port 22; undefined without a network. */
  readonly sshPort: number | undefined
  /** Words in front of whatever uses `sshPort`: its 127.0.0.1 may not be this host's. */
  readonly launcher: readonly string[]
  /** The process of the emulator. */
  readonly pid: number
  /** Becomes, when the machine ends, why: `the guest powered off`, or QEMU's last words. Never rejects. */
  readonly ended: Promise<string>
  /** Fails with MACHINE_FAILED when the machine has ended. */
  readActivity(): Promise<Activity>
  /** The guest's screen as a PNG. Fails with MACHINE_FAILED. */
  screenshot(): Promise<Uint8Array>
}
