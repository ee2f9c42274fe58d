import { KiB } from '../base/units.ts'

/**
 * What a kernel does in its first second, in 275 bytes: it leaves real mode for protected and for
 * long mode with paging, takes an exception, computes with floating point, and is fast. After each
 * feat it writes a letter to the debug console (port e9): R P L E F S. At the end it asks QEMU to
 * stop (port f4).
 *
 * Tables that it makes: page tables at 1000, 2000, 3000 (the first 2 MiB), interrupts at 4000.
 * Where it lies: at f0000, where the last 64 KiB of a firmware are seen below 1 MiB.
 */
const PROGRAM = `
  fa                            ; 00 start:  cli
  fc                            ;            cld
  b0 52  e6 e9                  ;            'R' to the console
  2e 66 0f 01 16 04 01          ; 06         lgdt [cs:gdtr]
  66 b8 11 00 00 00  0f 22 c0   ; 0d         cr0 = 11 (protected mode)
  66 ea 1e 00 0f 00 18 00       ; 16         jump 18:f001e
  66 b8 10 00                   ; 1e         data segments = 10
  8e d8  8e c0  8e d0           ; 22
  b0 50  e6 e9                  ; 28         'P' to the console
  bf 00 10 00 00                ; 2c         clear 1000..5000
  31 c0  b9 00 10 00 00  f3 ab  ; 31
  c7 05 00 10 00 00 03 20 00 00 ; 3a         [1000] = 2003
  c7 05 00 20 00 00 03 30 00 00 ; 44         [2000] = 3003
  c7 05 00 30 00 00 83 00 00 00 ; 4e         [3000] = 83 (2 MiB from 0)
  b8 20 06 00 00  0f 22 e0      ; 58         cr4 = 620 (PAE, SSE)
  b8 00 10 00 00  0f 22 d8      ; 60         cr3 = 1000
  b9 80 00 00 c0  0f 32         ; 68         EFER |= 100 (long mode)
  0d 00 01 00 00  0f 30         ; 6f
  b8 11 00 00 80  0f 22 c0      ; 76         cr0 = 80000011 (paging)
  ea 85 00 0f 00 08 00          ; 7e         jump 8:f0085
  bc 00 80 00 00                ; 85         esp = 8000
  b0 4c  e6 e9                  ; 8a         'L' to the console
  c7 04 25 60 40 00 00          ; 8e         interrupt 6 (invalid opcode) is 8:f00d9
    d9 00 08 00                 ;
  c7 04 25 64 40 00 00          ; 99
    00 8e 0f 00                 ;
  0f 01 1c 25 0a 01 0f 00       ; a4         lidt [idtr]
  0f 0b                         ; ac         ud2: on to d9 and back
  f2 0f 2a c4                   ; ae         xmm0 = esp
  f2 0f 58 c0                   ; b2         xmm0 += xmm0
  f2 0f 2c c0                   ; b6         eax = xmm0
  3d 00 00 01 00  75 15         ; ba         not 10000? stop
  b0 46  e6 e9                  ; c1         'F' to the console
  b9 00 e1 f5 05                ; c5         100 million
  ff c9  75 fc                  ; ca         turns of a loop
  b0 53  e6 e9                  ; ce         'S' to the console
  31 c0  e6 f4                  ; d2         0 to port f4
  f4  eb fd                     ; d6 stop:   hlt, for ever
  b0 45  e6 e9                  ; d9 caught: 'E' to the console
  48 83 04 24 02  48 cf         ; dd         return to after the ud2
  00 00 00 00 00 00 00 00       ; e4 gdt:    00
  ff ff 00 00 00 9b af 00       ; ec         08 code, 64 bit
  ff ff 00 00 00 93 cf 00       ; f4         10 data
  ff ff 00 00 00 9b cf 00       ; fc         18 code, 32 bit
  1f 00  e4 00 0f 00            ; 104 gdtr:  32 bytes at f00e4
  6f 00  00 40 00 00 00 00 00 00; 10a idtr:  7 entries at 4000
`
const RESET_VECTOR = 0xfff0

/** What each letter of the probe's output proves, in the order in which they come. */
export const FEATS: Readonly<Record<string, string>> = {
  R: 'real mode',
  P: 'protected mode',
  L: 'long mode with paging',
  E: 'an exception',
  F: 'floating point',
  S: 'a loop of 100 million turns',
}

/** A firmware of 64 KiB for QEMU's `-bios` that runs the probe when the machine starts. */
export function makeProbeRom(): Uint8Array {
  const code = Buffer.from(PROGRAM.replaceAll(/;.*|\s/g, ''), 'hex')
  const rom = Buffer.alloc(64 * KiB, 0xff)
  code.copy(rom)
  rom[RESET_VECTOR] = 0xe9 // jump to offset 0, relative to the next instruction
  rom.writeInt16LE(-(RESET_VECTOR + 3 - 64 * KiB), RESET_VECTOR + 1)
  return rom
}
