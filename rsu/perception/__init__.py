"""From a camera frame to detections on the ground plane, each with its covariance.

The way of a frame: `detector` (protocol and loader) → `onnx_detector` (with `card`, `registry`,
`letterbox`, `heads/`, `nms`) or `motion_detector` → `projection` (with `camera_model`, `footprint`,
`sizes`) → `stage`, which is what the runtime drives. `ahead` lets replay detect on several threads.
"""
