/** Shapes of a recipe's `base` and `disk`: how `build` makes the operating system and its disk. */
import { Type } from 'typebox'

export const baseSchema = Type.Object({})
export const diskSchema = Type.Object({})
