/**
 * Machines: virtual machines on this host, for a look at how an image boots. `startMachine` makes
 * one; it lives until it is disposed, ends by itself, or this process dies, and leaves nothing
 * behind in any of these cases. The image it boots is opened read-only and never changed.
 */
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

export interface MachineOptions {
  disk?: MachineDisk | undefined
  /** Bytes of a second, read-only disk: a seed for cloud-init. */
  seed?: Uint8Array | undefined
  firmware: 'bios' | UefiFirmware
  accelerator: Pick<Accelerator, 'kind' | 'cpu'>
  /** Bytes. */
  memory: number
  cpus: number
  /**
   * `isolated`: the guest has a network card, DHCP and port 22 reachable from this host, and reaches
   * nobody. `open`: it reaches what this host reaches. `none`: no card.
   */
  network: 'none' | 'isolated' | 'open'
  /** For the overlay and other files; few bytes unless the guest writes many. */
  tempDir: string
  /** What firmware and guest print on the serial port, as it comes. */
  onConsole?: ((chunk: Uint8Array) => void) | undefined
  /** The guest reset the machine. */
  onReset?: (() => void) | undefined
}

export interface Machine extends AsyncDisposable {
  readonly qmp: Qmp
  /** Port on 127.0.0.1 that leads to the guest's port 22; undefined without a network. */
  readonly sshPort: number | undefined
  /** The process of the emulator. */
  readonly pid: number
  /** Becomes, when the machine ends, why: `the guest powered off`, or QEMU's last words. Never rejects. */
  readonly ended: Promise<string>
  /** The guest's screen as a PNG. Fails with MACHINE_FAILED. */
  screenshot(): Promise<Uint8Array>
}
