import type { Caller } from './caller.ts'

export type PropertyAction = 'create' | 'read' | 'update' | 'delete'

/** Which properties of images a caller may touch. Source: Glance's property protection files, by roles or policies. */
export interface PropertyProtections {
  /** False when no file is configured: everything is allowed, and need not be asked. */
  readonly active: boolean
  allows(action: PropertyAction, property: string, caller: Caller): boolean
}
