/** Of connections: bytes that the kernel sent from files by itself. Node, which counts all others, does not see them. */
const moved = new WeakMap<object, number>()

export function countMoved(socket: object, bytes: number): void {
  moved.set(socket, movedTo(socket) + bytes)
}

export function movedTo(socket: object): number {
  return moved.get(socket) ?? 0
}
