;; A kernel that does what one-letter messages tell it, to test the machine around kernels. It exports its memory
;; under another name than our own kernel does, and uses what a kernel by another compiler may: a table, growing
;; memory, indirect calls.
(module
  (import "smart_rollup_core" "read_input" (func $read_input (param i32 i32 i32) (result i32)))
  (import "smart_rollup_core" "store_write" (func $store_write (param i32 i32 i32 i32 i32) (result i32)))
  (import "smart_rollup_core" "store_has" (func $store_has (param i32 i32) (result i32)))
  (import "smart_rollup_core" "store_move" (func $store_move (param i32 i32 i32 i32) (result i32)))
  (import "smart_rollup_core" "write_output" (func $write_output (param i32 i32) (result i32)))
  (import "smart_rollup_core" "__internal_store_get_hash" (func $get_hash (param i32 i32 i32 i32) (result i32)))
  (import "smart_rollup_core" "store_list_size" (func $list_size (param i32 i32) (result i64)))
  (memory (export "mem") 1 4)
  (table 1 funcref)
  (elem (i32.const 0) $other_type)
  (type $nothing (func))
  (data (i32.const 8192) "/kernel/env/reboot")     ;; 18
  (data (i32.const 8224) "/mark")                  ;; 5
  (data (i32.const 8240) "/loop")                  ;; 5
  (data (i32.const 8256) "/upgrade")               ;; 8
  (data (i32.const 8272) "/kernel/boot.wasm")      ;; 17
  (data (i32.const 8304) "/result")                ;; 7
  (func $other_type (param i32) (result i32) (local.get 0))
  (func $recurse (param i32) (result i32)
    (i32.add (call $recurse (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
  (func $result (param i32)
    (i32.store (i32.const 9000) (local.get 0))
    (drop (call $store_write (i32.const 8304) (i32.const 7) (i32.const 0) (i32.const 9000) (i32.const 4))))
  (func $outputs (local $i i32)
    (loop $again
      (call $result (call $write_output (i32.const 8224) (i32.const 5)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const 60)))))
  (func $command (param $c i32)
    (if (i32.eq (local.get $c) (i32.const 87)) ;; W: write /mark
      (then (drop (call $store_write (i32.const 8224) (i32.const 5) (i32.const 0) (i32.const 8224) (i32.const 5)))))
    (if (i32.eq (local.get $c) (i32.const 76)) ;; L: from now on every run asks for another one
      (then (drop (call $store_write (i32.const 8240) (i32.const 5) (i32.const 0) (i32.const 8224) (i32.const 5)))))
    (if (i32.eq (local.get $c) (i32.const 82)) ;; R: ask for one more run
      (then (drop (call $store_write (i32.const 8192) (i32.const 18) (i32.const 0) (i32.const 0) (i32.const 0)))))
    (if (i32.eq (local.get $c) (i32.const 85)) ;; U: /upgrade becomes the kernel
      (then (call $result (call $store_move (i32.const 8256) (i32.const 8) (i32.const 8272) (i32.const 17)))))
    (if (i32.eq (local.get $c) (i32.const 79)) ;; O: sixty outbox messages
      (then (call $outputs)))
    (if (i32.eq (local.get $c) (i32.const 72)) ;; H: hash of /mark
      (then (call $result (call $get_hash (i32.const 8224) (i32.const 5) (i32.const 9100) (i32.const 32)))))
    (if (i32.eq (local.get $c) (i32.const 78)) ;; N: children of /mark
      (then (call $result (i32.wrap_i64 (call $list_size (i32.const 8224) (i32.const 5))))))
    (if (i32.eq (local.get $c) (i32.const 77)) ;; M: grow the memory to its limit, then beyond
      (then (call $result (i32.add (memory.grow (i32.const 3)) (memory.grow (i32.const 1))))))
    (if (i32.eq (local.get $c) (i32.const 84)) (then unreachable)) ;; T
    (if (i32.eq (local.get $c) (i32.const 66)) ;; B: out of bounds
      (then (i32.store (i32.const 0x7ffffff0) (i32.const 1))))
    (if (i32.eq (local.get $c) (i32.const 90)) ;; Z: division by zero
      (then (call $result (i32.div_u (i32.const 1) (i32.const 0)))))
    (if (i32.eq (local.get $c) (i32.const 73)) ;; I: indirect call of another type
      (then (call_indirect (type $nothing) (i32.const 0))))
    (if (i32.eq (local.get $c) (i32.const 68)) ;; D: no end of calls
      (then (call $result (call $recurse (i32.const 0))))))
  (func (export "kernel_run") (local $n i32)
    (if (call $store_has (i32.const 8240) (i32.const 5))
      (then (drop (call $store_write (i32.const 8192) (i32.const 18) (i32.const 0) (i32.const 0) (i32.const 0)))))
    (loop $next
      (local.set $n (call $read_input (i32.const 0) (i32.const 16) (i32.const 4096)))
      (if (i32.gt_s (local.get $n) (i32.const 1))
        (then (if (i32.eq (i32.load8_u (i32.const 16)) (i32.const 1))
          (then (call $command (i32.load8_u (i32.const 17)))))))
      (br_if $next (i32.gt_s (local.get $n) (i32.const 0))))))
