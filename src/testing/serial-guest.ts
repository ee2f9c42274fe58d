import { MiB } from '../base/units.ts'

/** What the guest does when it has said everything. */
export type SerialGuestEnd = 'halt' | 'power-off' | 'reset'

const TEXT_OFFSET = 0x40
const SIGNATURE_OFFSET = 510

const PRINT = `
  fa  31 c0  8e d8  fc  ; 00        cli, ds = 0, cld
  be 40 7c              ; 06        si = 7c40: the text
  ac  84 c0  74 11      ; 09 again: next byte; 0? go on at 1f
  88 c4  ba fd 03       ; 0e        keep it; the line status register
  ec  a8 20  74 fb      ; 13 wait:  until the port takes another byte: a busy one loses it
  88 e0  b2 f8  ee      ; 18        to port 3f8, the first serial port
  eb ea                 ; 1d        again
`
/** In 16 bits, for the ports of QEMU's q35 machine. */
const ENDS: Readonly<Record<SerialGuestEnd, string>> = {
  halt: '',
  'power-off': 'ba 04 06  b8 00 20  ef  ; 2000 to port 604: ACPI sleep state 5',
  reset: 'b0 fe  e6 64  ; fe to port 64: the keyboard controller resets the processor',
}
const STAY = 'f4  eb fd  ; hlt, for ever'

/**
 * The smallest guest there is, as a disk with a boot sector: it prints up to 444 bytes on the first
 * serial port. It stands in for any guest, since what a boot test knows of one is what it prints.
 */
export function makeSerialGuest(text: string, end: SerialGuestEnd = 'halt'): Uint8Array {
  const disk = Buffer.alloc(MiB) // SeaBIOS reads nothing from a disk of few sectors
  const code = [PRINT, ENDS[end], STAY].join('\n').replaceAll(/;.*|\s/g, '')
  disk.write(code, 'hex')
  const bytes = Buffer.from(`\n${text}`) // the firmware may be in the middle of a line
  if (bytes.length >= SIGNATURE_OFFSET - TEXT_OFFSET) throw new Error('the text is too long')
  bytes.copy(disk, TEXT_OFFSET)
  disk.writeUInt16LE(0xaa55, SIGNATURE_OFFSET)
  return disk
}
