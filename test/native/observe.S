# What observe.h declares.
  .text

  .globl keyladderPaintStack
keyladderPaintStack:
  movq %rdi, %rcx
  movq %rsp, %rdi
  subq %rcx, %rdi
  movb $0x5A, %al
  rep stosb
  ret

  .globl keyladderCopyStack
keyladderCopyStack:
  movq %rsi, %rcx
  movq %rsp, %rsi
  subq %rcx, %rsi
  rep movsb
  ret

  .globl keyladderCopyGeneral
keyladderCopyGeneral:
  movq %rax, (%rdi)
  movq %rcx, 8(%rdi)
  movq %rdx, 16(%rdi)
  movq %rsi, 24(%rdi)
  movq %r8, 32(%rdi)
  movq %r9, 40(%rdi)
  movq %r10, 48(%rdi)
  movq %r11, 56(%rdi)
  ret

  .altmacro
  .macro copyVector instruction, register, number, step
  \instruction %\register\number, (\number * \step)(%rdi)
  .endm
  .macro clearXmm number
  pxor %xmm\number, %xmm\number
  .endm
  .macro clearZmm number
  vpxorq %zmm\number, %zmm\number, %zmm\number
  .endm

  .globl keyladderCopyXmm
keyladderCopyXmm:
  .set number, 0
  .rept 16
  copyVector movdqu, xmm, %number, 16
  .set number, number + 1
  .endr
  ret

  .globl keyladderCopyYmm
keyladderCopyYmm:
  .set number, 0
  .rept 16
  copyVector vmovdqu, ymm, %number, 32
  .set number, number + 1
  .endr
  ret

  .globl keyladderCopyZmm
keyladderCopyZmm:
  .set number, 0
  .rept 32
  copyVector vmovdqu64, zmm, %number, 64
  .set number, number + 1
  .endr
  ret

  .globl keyladderClearXmm
keyladderClearXmm:
  .set number, 0
  .rept 16
  clearXmm %number
  .set number, number + 1
  .endr
  ret

  .globl keyladderClearYmm
keyladderClearYmm:
  vzeroall
  ret

  .globl keyladderClearZmm
keyladderClearZmm:
  .set number, 0
  .rept 32
  clearZmm %number
  .set number, number + 1
  .endr
  ret

  .section .note.GNU-stack, "", @progbits
