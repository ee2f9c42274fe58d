import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { makeGrubBios } from './grub-bios.ts'

const partition = { offset: 1024 * 1024, length: 1024 * 1024 }

function bootImage(): Buffer {
  const image = Buffer.alloc(512, 0xcc)
  image.writeUInt16BE(0x55aa, 510)
  return image
}

/** A core as grub-mkimage makes it: the loader with the length of the rest, and the rest. */
function coreImage(length: number): Buffer {
  const image = Buffer.alloc(length, 0xdd)
  image.writeBigUInt64LE(2n, 0x1f4)
  image.writeUInt16LE(Math.ceil(length / 512) - 1, 0x1fc)
  image.writeUInt16LE(0x820, 0x1fe)
  return image
}

function refuses(boot: Uint8Array, core: Uint8Array, message: RegExp): void {
  assert.throws(() => makeGrubBios(boot, core, partition), { code: 'BUILD_FAILED', message })
}

describe('GRUB for a BIOS', () => {
  const [boot, core] = makeGrubBios(bootImage(), coreImage(30_000), partition)
  const bootBytes = Buffer.from(boot!.bytes)
  const coreBytes = Buffer.from(core!.bytes)

  it('keeps its boot code out of the partition table', () => {
    assert.deepEqual([boot?.offset, bootBytes.length], [0, 440])
  })

  it('tells the boot code where the core stands, and to take the drive that was booted', () => {
    assert.equal(bootBytes.readBigUInt64LE(0x5c), 2048n)
    assert.equal(bootBytes[0x64], 0xff)
    assert.equal(bootBytes.readUInt16BE(0x66), 0x9090)
  })

  it('tells the core where the rest of it stands, in one run', () => {
    assert.equal(core?.offset, partition.offset)
    assert.equal(coreBytes.length, 59 * 512)
    assert.equal(coreBytes.readBigUInt64LE(0x1f4), 2049n)
    assert.equal(coreBytes.readUInt16LE(0x1fc), 58)
    assert.equal(coreBytes.readUInt16LE(0x1fe), 0x820)
    assert.ok(coreBytes.subarray(0x1e8, 0x1f4).every((byte) => byte === 0))
    assert.ok(coreBytes.subarray(30_000).every((byte) => byte === 0))
  })

  it('refuses what is not GRUB, and a core that is larger than its partition', () => {
    refuses(Buffer.alloc(512), coreImage(30_000), /not a boot sector/)
    refuses(bootImage(), Buffer.alloc(30_000), /does not begin with its loader/)
    refuses(bootImage(), coreImage(512), /does not begin with its loader/)
    refuses(bootImage(), coreImage(1024 * 1024 + 1), /does not fit/)
  })
})
